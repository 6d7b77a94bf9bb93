"""Roles that go with each other or do not, the last admin, and limits that a role allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import FieldInvalid
from libs.money import AmountInvalid, Money
from services.users.accounts.rules import authority, user
from services.users.accounts.rules.authority import Authority, RoleMissing
from services.users.accounts.rules.user import ALONE, LastAdmin, Role, RoleConflict, State, User

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ADMIN = ids.new()
roles = st.sampled_from(list(Role))


def account(*held: Role, state: State = State.ACTIVE) -> User:
    return User(ids.new(), "ana@example.com", "Ana", "", "", held, state, NOW, NOW)


@given(st.lists(st.tuples(st.booleans(), roles), max_size=12))
def test_no_history_of_grants_mixes_customers_agents_and_staff(steps: list[tuple[bool, Role]]) -> None:
    held = account(Role.CUSTOMER)
    for is_grant, role in steps:
        try:
            held = (
                user.grant(held, role, ADMIN, NOW) if is_grant else user.revoke(held, role, [account(Role.ADMIN)], NOW)
            )
        except RoleConflict:
            assert is_grant
        assert len(held.roles) == len(set(held.roles))
        assert not ALONE.intersection(held.roles) or len(held.roles) == 1
        assert held.roles == tuple(role for role in Role if role in held.roles)


def test_role_that_conflicts_names_the_one_that_is_there() -> None:
    with pytest.raises(RoleConflict) as refusal:
        user.grant(account(Role.CUSTOMER), Role.FINANCE, ADMIN, NOW)
    assert refusal.value.metadata == {"role": "customer"}


def test_nobody_grants_themselves_a_right() -> None:
    admin = account(Role.ADMIN)
    with pytest.raises(RoleConflict):
        user.grant(admin, Role.UNDERWRITER, admin.id, NOW)
    nothing = Authority(admin.id)
    with pytest.raises(RoleConflict):
        authority.set_by(admin.id, admin, nothing, replace(nothing, underwriting_level=1), NOW)


def test_what_is_so_already_is_no_change() -> None:
    admin, disabled = account(Role.ADMIN), account(Role.ADMIN, state=State.DISABLED)
    assert user.grant(admin, Role.ADMIN, ADMIN, NOW) is admin
    assert user.revoke(admin, Role.AGENT, [admin], NOW) is admin
    assert user.enable(admin, NOW) is admin
    assert user.disable(disabled, [disabled], NOW) is disabled


def test_last_active_admin_stays() -> None:
    admin, disabled = account(Role.ADMIN), account(Role.ADMIN, state=State.DISABLED)
    for others in ([], [disabled]):
        with pytest.raises(LastAdmin):
            user.revoke(admin, Role.ADMIN, [admin, *others], NOW)
        with pytest.raises(LastAdmin):
            user.disable(admin, [admin, *others], NOW)
    other = account(Role.ADMIN)
    assert user.revoke(admin, Role.ADMIN, [admin, other], NOW).roles == ()
    assert user.disable(admin, [admin, other], NOW).state is State.DISABLED
    assert user.revoke(disabled, Role.ADMIN, [admin, disabled], NOW).roles == ()


@given(roles, st.sampled_from(list(authority.ROLES_OF_LIMIT)))
def test_limit_needs_a_role_that_allows_it_and_goes_with_it(role: Role, limit: str) -> None:
    person = account(role)
    wanted = replace(Authority(person.id), **{limit: 3 if limit == "underwriting_level" else {"EUR": 5}})  # type: ignore[arg-type]
    if role not in authority.ROLES_OF_LIMIT[limit]:
        with pytest.raises(RoleMissing) as refusal:
            authority.set_by(ADMIN, person, Authority(person.id), wanted, NOW)
        assert refusal.value.metadata == {"limit": limit}
        return
    held = authority.set_by(ADMIN, person, Authority(person.id), wanted, NOW)
    assert authority.without_roles(held, person, NOW) is held
    left = authority.without_roles(held, replace(person, roles=()), NOW)
    assert not getattr(left, limit)
    assert left.version == held.version + 1


def test_authority_counts_from_its_start_and_not_at_its_end() -> None:
    person = account(Role.UNDERWRITER)
    wanted = Authority(person.id, 3, valid_from=NOW, valid_until=NOW + timedelta(days=1))
    held = authority.set_by(ADMIN, person, Authority(person.id), wanted, NOW)
    counts = {hours: held.counts(NOW + timedelta(hours=hours)) for hours in (-1, 0, 23, 24)}
    assert counts == {-1: False, 0: True, 23: True, 24: False}
    assert not Authority(person.id).counts(NOW)


def test_authority_that_ends_before_it_begins_is_refused() -> None:
    person = account(Role.UNDERWRITER)
    with pytest.raises(FieldInvalid):
        authority.set_by(ADMIN, person, Authority(person.id), Authority(person.id, 3, valid_until=NOW), NOW)


def test_limits_are_one_amount_per_currency_and_none_below_zero() -> None:
    assert authority.amounts([Money(5, "EUR"), Money(0, "JPY")], "x") == {"EUR": 5, "JPY": 0}
    with pytest.raises(FieldInvalid):
        authority.amounts([Money(5, "EUR"), Money(6, "EUR")], "x")
    with pytest.raises(AmountInvalid):
        authority.amounts([Money(-1, "EUR")], "x")
