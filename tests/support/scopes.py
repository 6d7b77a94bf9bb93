"""What every list has to keep to: nobody is shown the rows of others, whoever calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.identity.callers import Caller
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope

ROLES = ("customer", "agent", "underwriter", "adjuster", "finance", "admin")
SEES = frozenset({"admin"})
"""Roles to which a method shows everybody's things, where a test has no method of its own."""

PARTNER, OTHER_PARTNER = ids.new(), ids.new()

Listing = Callable[[Scope], Iterable[UUID]]
"""Lists the rows of a scope; gives the owner of each."""


def callers(known: Sequence[UUID]) -> st.SearchStrategy[Caller]:
    """Callers of every kind: some of those users, somebody else, nobody, with any roles, acting for any parties and
    members of a partner or not; and services.
    """
    users = st.sampled_from([*known, ids.new(), None])
    roles = st.frozensets(st.sampled_from(ROLES))
    parties = st.frozensets(st.sampled_from([*known, ids.new()]), max_size=2)
    partners = st.sampled_from([PARTNER, OTHER_PARTNER, None])
    people = st.builds(Caller, user_id=users, roles=roles, parties=parties, partner=partners)
    return people | st.builds(Caller, service=st.just("policies"))


def sees_everybody(caller: Caller) -> bool:
    """Services and users with one of `SEES` do; said once more, so that the rule is not tested by itself."""
    return bool(caller.service) or (caller.user_id is not None and "admin" in caller.roles)


def owners_of(caller: Caller) -> set[UUID]:
    """The parties whose things are the caller's own."""
    return {caller.user_id, *caller.parties} if caller.user_id else set()


def check_list(owners: Sequence[UUID], listing: Listing) -> None:
    """A list over rows of at least three owners shows each caller what is theirs, and never more."""
    assert len(set(owners)) > 2

    @given(callers(owners))
    def callers_see_their_own(caller: Caller) -> None:
        listed = set(listing(caller.scope(SEES, partner=False)))
        assert listed == (set(owners) if sees_everybody(caller) else owners_of(caller) & set(owners))

    callers_see_their_own()
    assert set(listing(Of(frozenset(owners[:2])))) == set(owners[:2])
    assert list(listing(NOTHING)) == []
    assert sorted(listing(EVERYBODY)) == sorted(owners)
    absent: Any = None
    with pytest.raises(AssertionError):
        list(listing(absent))
