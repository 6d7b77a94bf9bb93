"""The rules of partners: what a new one looks like, what may change, and who is a member."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.errors import AlreadyExists, FieldInvalid
from services.users.accounts.rules import fields
from services.users.accounts.rules.authority import RoleMissing
from services.users.accounts.rules.user import Role, User

CHANGEABLE = ("name", "email", "phone")


class MemberAlready(AlreadyExists):
    """The user is a member of a partner already."""

    reason = "ALREADY_LINKED"


class Kind(StrEnum):
    """What a partner is."""

    BROKER = "broker"
    AGENCY = "agency"
    COMPARISON_SITE = "comparison_site"


class State(StrEnum):
    """Whether a partner sells."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Partner:
    """Who distributes the insurer's products."""

    id: UUID
    kind: Kind
    name: str
    email: str
    phone: str
    state: State
    product_codes: frozenset[str]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        """Changes with every change of the partner."""
        return str(self.version)

    @property
    def sells(self) -> frozenset[str]:
        """Codes of the products that it starts new business with."""
        return self.product_codes if self.state is State.ACTIVE else frozenset()


def checked(partner: Partner) -> Partner:
    """The partner in the form that is kept. `FieldInvalid`, naming each field that cannot be so."""
    wrong = {}
    if why := fields.why_no_name(partner.name):
        wrong["partner.name"] = why
    if not partner.email:
        wrong["partner.email"] = "is empty"
    if wrong:
        raise FieldInvalid(violations=wrong)
    return replace(partner, email=partner.email.lower())


def check_mask(paths: Iterable[str]) -> None:
    """`FieldInvalid`, naming each path of a mask that cannot be changed; also when there is none."""
    fields.check_mask("partner", paths, CHANGEABLE)


def update(partner: Partner, new: Partner, paths: Iterable[str], now: datetime) -> Partner:
    """The partner with some of `CHANGEABLE` as `new` has them. The very same partner when nothing differs."""
    changes: Mapping[str, Any] = {path: getattr(new, path) for path in paths}
    return _changed(partner, checked(replace(partner, **changes)), now)


def suspend(partner: Partner, now: datetime) -> Partner:
    """The partner that starts no new business. The very same one that did not."""
    return _changed(partner, replace(partner, state=State.SUSPENDED), now)


def resume(partner: Partner, now: datetime) -> Partner:
    """The partner that sells again. The very same one that did."""
    return _changed(partner, replace(partner, state=State.ACTIVE), now)


def set_products(partner: Partner, codes: Iterable[str], now: datetime) -> Partner:
    """The partner that may sell these products. The very same one that could."""
    return _changed(partner, replace(partner, product_codes=frozenset(codes)), now)


def check_products(codes: Sequence[str], known: Collection[str], is_product: Callable[[str], bool]) -> None:
    """`FieldInvalid`, naming each of the codes that is no product's. Those that are `known` are not asked about."""
    wrong = {
        f"product_codes[{index}]": "is the code of no product"
        for index, code in enumerate(codes)
        if code not in known and not is_product(code)
    }
    if wrong:
        raise FieldInvalid(violations=wrong)


def check_member(user: User, partner_id: UUID | None) -> None:
    """Whether a user, who is a member of that partner or of none, can become one. `RoleMissing`, `MemberAlready`."""
    if partner_id is not None:
        raise MemberAlready
    if Role.AGENT not in user.roles:
        raise RoleMissing("the user is no agent", role=Role.AGENT.value)


def audited(partner: Partner) -> dict[str, object]:
    """What the audit log keeps of a partner."""
    return {
        "kind": partner.kind,
        "name": partner.name,
        "email": partner.email,
        "phone": partner.phone,
        "state": partner.state,
        "product_codes": sorted(partner.product_codes),
    }


def audited_changes(before: Partner, after: Partner) -> tuple[dict[str, object], dict[str, object]]:
    """What the audit log keeps of a change: what differs, as it was and as it is."""
    return fields.differing(audited(before), audited(after))


def _changed(before: Partner, after: Partner, now: datetime) -> Partner:
    return before if after == before else replace(after, updated_at=now, version=before.version + 1)
