"""A caller's scope says whose things they are shown; it is decided once, and never open by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given

from libs import ids
from libs.identity.callers import ANONYMOUS, Caller
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope, Within
from tests.support.scopes import callers, sees_everybody

ANA, BEN, CARLA = (ids.new() for _ in range(3))
BROKER, OTHER_BROKER = (ids.new() for _ in range(2))


@pytest.mark.parametrize(
    ("caller", "scope"),
    [
        (Caller(user_id=ANA, roles=frozenset({"customer"})), Of(frozenset({ANA}))),
        (Caller(user_id=ANA, roles=frozenset({"agent", "underwriter", "adjuster", "finance"})), Of(frozenset({ANA}))),
        (Caller(user_id=ANA, roles=frozenset({"customer", "admin"})), EVERYBODY),
        (Caller(service="payments"), EVERYBODY),
        (Caller(roles=frozenset({"customer"})), NOTHING),
        (ANONYMOUS, NOTHING),
    ],
)
def test_caller_is_shown_the_things_of_their_scope(caller: Caller, scope: Scope) -> None:
    assert caller.scope == scope


@given(callers([ANA, BEN]))
def test_nobody_but_services_and_admins_is_shown_a_thing_of_somebody_else(caller: Caller) -> None:
    for owner in (ANA, BEN, CARLA):
        assert caller.scope.covers(owner) == (sees_everybody(caller) or caller.user_id == owner)


@pytest.mark.parametrize(
    ("scope", "is_covered"),
    [
        (EVERYBODY, True),
        (Of(frozenset({ANA, BEN})), True),
        (Of(frozenset({CARLA})), False),
        (NOTHING, False),
        (Within(BROKER), True),
        (Within(OTHER_BROKER), False),
    ],
)
def test_scope_covers_what_is_of_its_users_or_came_by_its_partner(scope: Scope, is_covered: bool) -> None:
    assert scope.covers(ANA, BROKER) is is_covered


def test_what_came_by_nobody_is_within_no_partner() -> None:
    assert not Within(BROKER).covers(ANA)
