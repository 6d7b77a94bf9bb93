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
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope, Within

ROLES = ("customer", "agent", "underwriter", "adjuster", "finance", "admin")

Listing = Callable[[Scope], Iterable[UUID]]
"""Lists the rows of a scope; gives the owner of each."""


def callers(known: Sequence[UUID]) -> st.SearchStrategy[Caller]:
    """Callers of every kind: some of those users, somebody else, nobody, with any roles; and services."""
    users = st.sampled_from([*known, ids.new(), None])
    roles = st.frozensets(st.sampled_from(ROLES))
    return st.builds(Caller, user_id=users, roles=roles) | st.builds(Caller, service=st.just("policies"))


def sees_everybody(caller: Caller) -> bool:
    """Services and admins do; said once more, so that the rule is not tested by itself."""
    return bool(caller.service) or "admin" in caller.roles


def check_list(owners: Sequence[UUID], listing: Listing) -> None:
    """A list over rows of at least three owners shows each caller what is theirs, and never more."""
    assert len(set(owners)) > 2

    @given(callers(owners))
    def callers_see_their_own(caller: Caller) -> None:
        listed = set(listing(caller.scope))
        assert listed == (set(owners) if sees_everybody(caller) else {caller.user_id} & set(owners))

    callers_see_their_own()
    assert set(listing(Of(frozenset(owners[:2])))) == set(owners[:2])
    assert list(listing(NOTHING)) == []
    assert list(listing(Within(owners[0]))) == []  # no table knows partners yet
    assert sorted(listing(EVERYBODY)) == sorted(owners)
    absent: Any = None
    with pytest.raises(AssertionError):
        list(listing(absent))
