"""The rules of accounts: what a new one looks like, and what its owner may change."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.errors import AlreadyExists, Denied, FieldInvalid

CHANGEABLE = ("full_name", "phone", "locale")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")  # visible ASCII around one @; the contract is stricter
_LONGEST_EMAIL = 254
_LONGEST_NAME = 200
_NAMED_PATHS = 5  # wrong ones that an answer names, and
_NAMED_CHARACTERS = 40  # how much of each: an answer's metadata is small, what a caller sends is not


class EmailTaken(AlreadyExists):
    """The e-mail address belongs to an account already."""

    reason = "EMAIL_TAKEN"


class UserDisabled(Denied):
    """The account is disabled."""

    reason = "USER_DISABLED"


class Role(StrEnum):
    """What a user is allowed to do. The values stand in access tokens and in the contracts' access rules."""

    CUSTOMER = "customer"
    AGENT = "agent"
    UNDERWRITER = "underwriter"
    ADJUSTER = "adjuster"
    FINANCE = "finance"
    ADMIN = "admin"


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
        """Whether the user is more than a customer."""
        return self.roles != (Role.CUSTOMER,)

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
    paths = list(paths)
    if not paths:
        raise FieldInvalid(violations={"update_mask": "names no field"})
    wrong = [path for path in paths if path not in CHANGEABLE]
    if wrong:
        named = (path[:_NAMED_CHARACTERS] for path in wrong[:_NAMED_PATHS])
        raise FieldInvalid(violations={f"user.{path}": "cannot be changed" for path in named})


def update(user: User, changes: Mapping[str, str], now: datetime) -> User:
    """The user with other values for some of `CHANGEABLE`. The very same user when nothing differs."""
    check_mask(changes)
    if "full_name" in changes:
        _check_full_name(changes["full_name"], "user.full_name")
    if all(getattr(user, name) == value for name, value in changes.items()):
        return user
    return replace(user, **changes, updated_at=now, version=user.version + 1)  # type: ignore[arg-type]


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


def _check_full_name(text: str, field: str) -> None:
    """A name is kept as it is written, but it is one visible line."""
    if not text.strip():
        raise FieldInvalid(violations={field: "is empty"})
    if len(text) > _LONGEST_NAME:
        raise FieldInvalid(violations={field: f"has more than {_LONGEST_NAME} characters"})
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise FieldInvalid(violations={field: "contains control characters"})
