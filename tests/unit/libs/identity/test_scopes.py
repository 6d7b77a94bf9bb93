"""A caller's scope says whose things they are shown; it is decided once, and never open by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.identity.callers import ANONYMOUS, Caller
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope
from tests.support.scopes import OTHER_PARTNER, PARTNER, ROLES, SEES, callers, owners_of, sees_everybody

ANA, BEN, CARLA = (ids.new() for _ in range(3))
STAFF = frozenset({"agent", "underwriter", "adjuster", "finance"})


@pytest.mark.parametrize(
    ("caller", "scope"),
    [
        (Caller(user_id=ANA, roles=frozenset({"customer"})), Of(frozenset({ANA}))),
        (Caller(user_id=ANA, parties=frozenset({BEN})), Of(frozenset({ANA, BEN}))),
        (Caller(user_id=ANA, roles=STAFF), Of(frozenset({ANA}))),
        (Caller(user_id=ANA, roles=frozenset({"customer", "admin"})), EVERYBODY),
        (Caller(user_id=ANA, roles=frozenset({"agent"}), partner=PARTNER), Of(frozenset({ANA}))),
        (Caller(service="payments"), EVERYBODY),
        (Caller(roles=frozenset({"customer"})), NOTHING),
        (Caller(roles=frozenset({"admin"}), parties=frozenset({ANA}), partner=PARTNER), NOTHING),
        (ANONYMOUS, NOTHING),
    ],
)
def test_caller_is_shown_the_things_of_their_scope(caller: Caller, scope: Scope) -> None:
    assert caller.scope(SEES, partner=False) == scope


def test_member_of_a_partner_is_shown_what_came_by_it_where_the_contract_lets_partners_call() -> None:
    member = Caller(user_id=ANA, roles=frozenset({"agent"}), partner=PARTNER)
    assert member.scope(SEES, partner=True) == Of(frozenset({ANA}), PARTNER)


@given(callers([ANA, BEN]), st.sampled_from([PARTNER, OTHER_PARTNER, None]), st.booleans())
def test_nobody_is_shown_a_thing_of_somebody_else_without_a_reason(
    caller: Caller, partner: object, by_partner: bool
) -> None:
    scope = caller.scope(SEES, partner=by_partner)
    for owner in (ANA, BEN, CARLA, None):
        came_by_theirs = by_partner and bool(caller.user_id) and partner is not None and partner == caller.partner
        is_theirs = owner in owners_of(caller) or came_by_theirs
        assert scope.covers(owner, partner) == (sees_everybody(caller) or is_theirs)  # type: ignore[arg-type]


@given(callers([ANA, BEN]))
def test_method_that_shows_no_role_everybody_s_things_shows_them_to_services_alone(caller: Caller) -> None:
    assert (caller.scope(frozenset(), partner=True) is EVERYBODY) == bool(caller.service)
    assert (
        caller.service
        or caller.user_id is None
        or caller.scope(frozenset(ROLES), partner=True) is EVERYBODY
        or not caller.roles
    )


@pytest.mark.parametrize(
    ("scope", "is_covered"),
    [
        (EVERYBODY, True),
        (Of(frozenset({ANA, BEN})), True),
        (Of(frozenset({CARLA})), False),
        (NOTHING, False),
        (Of(partner=PARTNER), True),
        (Of(frozenset({CARLA}), PARTNER), True),
        (Of(partner=OTHER_PARTNER), False),
    ],
)
def test_scope_covers_what_is_of_its_parties_or_came_by_its_partner(scope: Scope, is_covered: bool) -> None:
    assert scope.covers(ANA, PARTNER) is is_covered


def test_what_is_nobody_s_and_came_by_nobody_is_covered_by_no_scope_of_some() -> None:
    assert not Of(frozenset({ANA}), PARTNER).covers(None)
    assert not NOTHING.covers(None, None)
