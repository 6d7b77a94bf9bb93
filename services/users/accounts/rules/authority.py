"""How far a user may decide alone, which roles allow that, and when it counts.

It is about tokens, and so about real time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.errors import FieldInvalid, Refused
from libs.money import AmountInvalid, Money
from services.users.accounts.rules.user import Role, RoleConflict, User

ROLES_OF_LIMIT: Final[Mapping[str, frozenset[Role]]] = {
    "underwriting_level": frozenset({Role.UNDERWRITER, Role.ADMIN}),
    "claim_limit": frozenset({Role.ADJUSTER, Role.ADMIN}),
    "refund_limit": frozenset({Role.FINANCE, Role.ADMIN}),
    "write_off_limit": frozenset({Role.FINANCE, Role.ADMIN}),
}
"""For each limit the roles of which one is needed to have it."""


class RoleMissing(Refused):
    """None of the user's roles allows this limit."""

    reason = "ROLE_MISSING"


@dataclass(frozen=True, slots=True)
class Authority:
    """The limits of one user. An amount is given per currency, in minor units; where there is none, it is nothing."""

    user_id: UUID
    underwriting_level: int = 0
    claim_limit: Mapping[str, int] = field(default_factory=dict)
    refund_limit: Mapping[str, int] = field(default_factory=dict)
    write_off_limit: Mapping[str, int] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0
    """How often it was set."""

    @property
    def etag(self) -> str:
        """Changes with every change of it."""
        return str(self.version)

    def counts(self, now: datetime) -> bool:
        """Whether a token that is made now says it."""
        has_begun = self.valid_from is not None and self.valid_from <= now
        return has_begun and (self.valid_until is None or now < self.valid_until)


def amounts(limits: Iterable[Money], field_name: str) -> dict[str, int]:
    """The limits by currency. `AmountInvalid` for one below zero, `FieldInvalid` for two of one currency."""
    by_currency: dict[str, int] = {}
    for limit in limits:
        if limit.minor < 0:
            raise AmountInvalid("a limit is not below zero", amount=limit)
        if limit.currency in by_currency:
            raise FieldInvalid(violations={field_name: f"has two amounts in {limit.currency}"})
        by_currency[limit.currency] = limit.minor
    return by_currency


def set_by(by: UUID | None, user: User, before: Authority, after: Authority, now: datetime) -> Authority:
    """The authority of a user as it is from now on.

    `RoleConflict` when they set their own, `RoleMissing` when no role of theirs allows a limit, `FieldInvalid` when it
    ends before it begins.
    """
    if by == user.id:
        raise RoleConflict("nobody sets their own authority")
    for name, roles in ROLES_OF_LIMIT.items():
        if getattr(after, name) and roles.isdisjoint(user.roles):
            raise RoleMissing(limit=name)
    begins = after.valid_from or now
    if after.valid_until is not None and after.valid_until <= begins:
        raise FieldInvalid(violations={"authority.end_time": "is not after the start"})
    return replace(after, valid_from=begins, updated_at=now, version=before.version + 1)


def without_roles(authority: Authority, user: User, now: datetime) -> Authority:
    """What is left of it by the roles that its user has. The very same when that is all."""
    lost: dict[str, Any] = {
        name: 0 if name == "underwriting_level" else {}
        for name, roles in ROLES_OF_LIMIT.items()
        if getattr(authority, name) and roles.isdisjoint(user.roles)
    }
    return replace(authority, **lost, updated_at=now, version=authority.version + 1) if lost else authority


def audited(authority: Authority) -> dict[str, object]:
    """What the audit log keeps of it."""
    return {
        **{name: getattr(authority, name) for name in ROLES_OF_LIMIT},
        "valid_from": authority.valid_from,
        "valid_until": authority.valid_until,
    }
