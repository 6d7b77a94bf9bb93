"""What a token says is what the caller becomes, whichever program signed it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import FieldInvalid
from libs.identity import claims
from libs.identity.authority import Authority
from libs.identity.callers import ANONYMOUS, Caller
from libs.money import Money
from tests.support.scopes import ROLES

uuids = st.builds(ids.new)
amounts = st.dictionaries(st.sampled_from(["EUR", "MZN", "JPY"]), st.integers(0, 10**12))
authorities = st.builds(
    Authority,
    underwriting_level=st.integers(0, 9),
    claim_limit=amounts,
    refund_limit=amounts,
    write_off_limit=amounts,
)
users = st.builds(
    Caller,
    user_id=uuids,
    roles=st.frozensets(st.sampled_from(ROLES)),
    parties=st.frozensets(uuids, max_size=20),
    partner=uuids | st.none(),
    sells=st.frozensets(st.sampled_from(["motor", "home"])),
    authority=authorities,
    session=uuids | st.none(),
    authorization=st.just("Bearer x"),
    expires_at=st.just(1.0),
)


@given(users)
def test_caller_of_a_token_is_the_one_whom_it_was_signed_for(user: Caller) -> None:
    assert claims.caller_of({**claims.of_caller(user), "exp": 1.0}, "Bearer x") == user


def test_token_that_says_less_or_more_than_this_program_knows_is_read() -> None:
    user_id = ids.encode("usr", ids.new())
    before = claims.caller_of({"sub": user_id, "roles": [], "exp": 1.0}, "")
    assert before.authority.limit("claim_limit", "EUR") == Money(0, "EUR")
    after = claims.caller_of({"sub": user_id, "roles": [], "exp": 1.0, "authority": {"patience": 3}, "mood": 1}, "")
    assert after.authority == before.authority


def test_party_of_another_kind_is_refused() -> None:
    named = {"sub": ids.encode("usr", ids.new()), "roles": [], "exp": 1.0, "parties": [ids.encode("usr", ids.new())]}
    with pytest.raises(FieldInvalid):
        claims.caller_of(named, "")


def test_services_and_strangers_have_no_access_token() -> None:
    for caller in (ANONYMOUS, Caller(service="quotes")):
        with pytest.raises(ValueError, match="only a person"):
            claims.of_caller(caller)
