"""The rules of accounts: what a new one looks like, and what its owner may change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.errors import AlreadyExists, Denied, FieldInvalid, Refused
from services.users.accounts.rules import fields

CHANGEABLE = ("full_name", "phone", "locale")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")  # visible ASCII around one @; the contract is stricter
_LONGEST_EMAIL = 254


class EmailTaken(AlreadyExists):
    """The e-mail address belongs to an account already."""

    reason = "EMAIL_TAKEN"


class UserDisabled(Denied):
    """The account is disabled."""

    reason = "USER_DISABLED"


class RoleConflict(Refused):
    """The account has a role that does not go with this one."""

    reason = "ROLE_CONFLICT"


class LastAdmin(Refused):
    """Nobody active would be an admin any more."""

    reason = "LAST_ADMIN"


class Role(StrEnum):
    """What a user is allowed to do. The values stand in access tokens and in the contracts' access rules."""

    CUSTOMER = "customer"
    AGENT = "agent"
    UNDERWRITER = "underwriter"
    ADJUSTER = "adjuster"
    FINANCE = "finance"
    ADMIN = "admin"


ALONE: Final = frozenset({Role.CUSTOMER, Role.AGENT})
"""Roles that go with no other: the rest are those of the insurer's staff."""


class State(StrEnum):
    """Whether the account can be used."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. The password's hash is no part of it, so that no reply can carry it."""

    id: UUID
    email: str
    full_name: str
    phone: str
    locale: str
    roles: tuple[Role, ...]
    state: State
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        """Changes with every change of the user."""
        return str(self.version)

    @property
    def is_staff(self) -> bool:
        """Whether the user is anything but a customer."""
        return self.roles != (Role.CUSTOMER,)

    @property
    def is_active_admin(self) -> bool:
        """Whether the user can run the platform."""
        return self.state is State.ACTIVE and Role.ADMIN in self.roles

    def can_act_as(self, role: Role) -> bool:
        """Whether the user can log in and has a role."""
        return self.state is State.ACTIVE and role in self.roles

    def check_active(self) -> None:
        """`UserDisabled` when the account cannot be used."""
        if self.state is not State.ACTIVE:
            raise UserDisabled


def normalise_email(text: str) -> str:
    """The address as it is stored and looked up: in lower case. `FieldInvalid` when it is no address."""
    if len(text) > _LONGEST_EMAIL or not _EMAIL.fullmatch(text):
        raise FieldInvalid(violations={"email": "is not an e-mail address"})
    return text.lower()


def register(
    email: str,
    full_name: str,
    phone: str,
    locale: str,
    now: datetime,
    *,
    user_id: UUID,
    roles: tuple[Role, ...] = (Role.CUSTOMER,),
) -> User:
    """Make an account that can log in at once."""
    _check_full_name(full_name, "full_name")
    return User(
        id=user_id,
        email=normalise_email(email),
        full_name=full_name,
        phone=phone,
        locale=locale,
        roles=roles,
        state=State.ACTIVE,
        created_at=now,
        updated_at=now,
    )


def check_mask(paths: Iterable[str]) -> None:
    """`FieldInvalid`, naming each path of a mask that its owner cannot change; also when there is none."""
    fields.check_mask("user", paths, CHANGEABLE)


def update(user: User, changes: Mapping[str, str], now: datetime) -> User:
    """The user with other values for some of `CHANGEABLE`. The very same user when nothing differs."""
    check_mask(changes)
    if "full_name" in changes:
        _check_full_name(changes["full_name"], "user.full_name")
    if all(getattr(user, name) == value for name, value in changes.items()):
        return user
    return replace(user, **changes, updated_at=now, version=user.version + 1)  # type: ignore[arg-type]


def grant(user: User, role: Role, by: UUID | None, now: datetime) -> User:
    """The user with one more role; the very same user who has it. `RoleConflict` where it does not go with another."""
    if by == user.id:
        raise RoleConflict("nobody grants themselves a role")
    if role in user.roles:
        return user
    others = user.roles if role in ALONE else [held for held in user.roles if held in ALONE]
    if others:
        raise RoleConflict(role=others[0].value)
    roles = tuple(known for known in Role if known in {*user.roles, role})
    return replace(user, roles=roles, updated_at=now, version=user.version + 1)


def check_acts_for_customers(user: User) -> None:
    """`RoleConflict` for an account of an agent or of the insurer's staff: they serve customers, and act for none."""
    for role in user.roles:
        if role is not Role.CUSTOMER:
            raise RoleConflict("who serves customers does not act for them", role=role.value)


def revoke(user: User, role: Role, admins: Iterable[User], now: datetime) -> User:
    """The user without a role; the very same user who does not have it.

    `LastAdmin` when none of the `admins`, who are all that there are, would be left.
    """
    if role not in user.roles:
        return user
    after = replace(
        user, roles=tuple(held for held in user.roles if held is not role), updated_at=now, version=user.version + 1
    )
    _check_admin_stays(user, after, admins)
    return after


def disable(user: User, admins: Iterable[User], now: datetime) -> User:
    """The user who cannot log in; the very same one who could not. `LastAdmin` as with `revoke`."""
    if user.state is State.DISABLED:
        return user
    after = replace(user, state=State.DISABLED, updated_at=now, version=user.version + 1)
    _check_admin_stays(user, after, admins)
    return after


def enable(user: User, now: datetime) -> User:
    """The user who can log in again; the very same one who could."""
    if user.state is State.ACTIVE:
        return user
    return replace(user, state=State.ACTIVE, updated_at=now, version=user.version + 1)


def _check_admin_stays(before: User, after: User, admins: Iterable[User]) -> None:
    if before.is_active_admin and not after.is_active_admin:
        others = [admin for admin in admins if admin.id != before.id and admin.is_active_admin]
        if not others:
            raise LastAdmin


def audited(user: User) -> dict[str, object]:
    """What the audit log keeps of an account."""
    return {
        "email": user.email,
        "full_name": user.full_name,
        "phone": user.phone,
        "locale": user.locale,
        "roles": user.roles,
        "state": user.state,
    }


def audited_changes(before: User, after: User) -> tuple[dict[str, object], dict[str, object]]:
    """What the audit log keeps of a change: what differs, as it was and as it is."""
    return fields.differing(audited(before), audited(after))


def _check_full_name(text: str, field: str) -> None:
    if why := fields.why_no_name(text):
        raise FieldInvalid(violations={field: why})
