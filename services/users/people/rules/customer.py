"""The rules of customers: what a new one looks like, what may change, and who acts for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.errors import AlreadyExists, FieldInvalid, Refused
from services.users.accounts.rules import fields
from services.users.people.rules.tax_id import TaxId

CHANGEABLE = ("name", "birth_date", "tax_id", "emails", "phones", "address", "locale")
_WHOLE = ("birth_date", "address")
MOST_PARTIES = 20
"""For how many customers a user can act, beside the own one: an access token names them all."""
_OLDEST = 130  # years
LATEST_PLAN = timedelta(days=366)
"""How far ahead another partner can be planned."""
_PARTNERS = ("partner_id", "partner_since", "next_partner_id", "next_partner_since")


class CustomerDuplicate(AlreadyExists):
    """There is a customer with this tax id."""

    reason = "CUSTOMER_DUPLICATE"


class AlreadyLinked(AlreadyExists):
    """The user acts for the customer already."""

    reason = "ALREADY_LINKED"


class PartiesTooMany(Refused):
    """The user acts for as many customers as anybody can."""

    reason = "PARTIES_TOO_MANY"


class Kind(StrEnum):
    """What a customer is."""

    PERSON = "person"
    ORGANISATION = "organisation"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address."""

    lines: tuple[str, ...]
    locality: str
    region: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A party: who holds policies, pays for them or makes claims."""

    id: UUID
    kind: Kind
    name: str
    birth_date: date | None
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    address: Address | None
    locale: str
    tax_id: TaxId | None
    partner_id: UUID | None
    partner_since: date | None
    created_at: datetime
    updated_at: datetime
    version: int = 1
    next_partner_id: UUID | None = None
    """The partner of the day below; None for nobody."""
    next_partner_since: date | None = None
    """A day to come from which another partner, or none, serves the customer; None where no change is planned."""

    @property
    def user_id(self) -> UUID:
        """Whose record it is: the party's own."""
        return self.id

    @property
    def etag(self) -> str:
        """Changes with every change of the customer."""
        return str(self.version)


def checked(customer: Customer, today: date) -> Customer:
    """The customer in the form that is kept. `FieldInvalid`, naming each field that cannot be so."""
    wrong = {}
    if why := fields.why_no_name(customer.name):
        wrong["customer.name"] = why
    if customer.birth_date is not None:
        if customer.kind is not Kind.PERSON:
            wrong["customer.birth_date"] = "is for persons"
        elif not today.year - _OLDEST <= customer.birth_date.year or customer.birth_date > today:
            wrong["customer.birth_date"] = "is not a day on which somebody living was born"
    emails = tuple(email.lower() for email in customer.emails)
    for name, values in (("emails", emails), ("phones", customer.phones)):
        if len(set(values)) < len(values):
            wrong[f"customer.{name}"] = "names one twice"
    if wrong:
        raise FieldInvalid(violations=wrong)
    return replace(customer, emails=emails)


def of_user(user_id: UUID, full_name: str, email: str, phone: str, locale: str, now: datetime) -> Customer:
    """The customer whom somebody is who buys for themselves."""
    phones = (phone,) if phone else ()
    return Customer(
        id=user_id,
        kind=Kind.PERSON,
        name=full_name,
        birth_date=None,
        emails=(email,),
        phones=phones,
        address=None,
        locale=locale,
        tax_id=None,
        partner_id=None,
        partner_since=None,
        created_at=now,
        updated_at=now,
    )


def fields_of_mask(paths: Iterable[str]) -> tuple[str, ...]:
    """The fields that a mask names; `FieldInvalid`, naming each that cannot be changed, also when there is none.

    A day and an address change as a whole, whichever part of them is named.
    """
    named = []
    for path in paths:
        field, dot, _ = path.partition(".")
        named.append(field if dot and field in _WHOLE else path)
    fields.check_mask("customer", named, CHANGEABLE)
    return tuple(dict.fromkeys(named))


def update(customer: Customer, new: Customer, paths: Iterable[str], now: datetime) -> Customer:
    """The customer with some of `CHANGEABLE` as `new` has them. The very same customer when nothing differs."""
    changes: Mapping[str, Any] = {path: getattr(new, path) for path in paths}
    after = checked(replace(customer, **changes), now.date())
    return customer if after == customer else replace(after, updated_at=now, version=customer.version + 1)


def assign_partner(customer: Customer, partner_id: UUID | None, since: date, now: datetime) -> Customer:
    """The customer whom that partner serves from a day on, or none does. The very same customer when it is so.

    What was planned for a day to come is given up. Such a day, of the next `LATEST_PLAN`, is planned.
    """
    today = now.date()
    if since > today + LATEST_PLAN:
        raise FieldInvalid(violations={"start_date": f"is more than {LATEST_PLAN.days} days ahead"})
    after = replace(customer, next_partner_id=None, next_partner_since=None)
    if partner_id != customer.partner_id:
        if since > today:
            after = replace(customer, next_partner_id=partner_id, next_partner_since=since)
        elif customer.partner_since is not None and since < customer.partner_since:
            raise FieldInvalid(violations={"start_date": "is before the day from which the partner of now serves"})
        else:
            after = replace(after, partner_id=partner_id, partner_since=since)
    return customer if after == customer else replace(after, updated_at=now, version=customer.version + 1)


def follow_plan(customer: Customer, now: datetime) -> Customer:
    """The customer whom the partner of a day that has come serves. The very same customer before that day."""
    since = customer.next_partner_since
    if since is None or since > now.date():
        return customer
    return assign_partner(customer, customer.next_partner_id, since, now)


def check_link(user_id: UUID, customer_id: UUID, parties: frozenset[UUID]) -> None:
    """Whether a user who acts for some parties may act for one more. `AlreadyLinked`, `PartiesTooMany`."""
    if customer_id == user_id or customer_id in parties:
        raise AlreadyLinked
    if len(parties) >= MOST_PARTIES:
        raise PartiesTooMany(most=MOST_PARTIES)


def kept_changes(before: Customer, after: Customer) -> tuple[dict[str, object], dict[str, object]]:
    """What the history keeps of a change: what differs, as it was and as it is; of a tax id only its ending."""
    names = [name for name in (*CHANGEABLE, *_PARTNERS) if getattr(before, name) != getattr(after, name)]
    return {name: _kept(before, name) for name in names}, {name: _kept(after, name) for name in names}


def _kept(customer: Customer, name: str) -> object:
    value = getattr(customer, name)
    return value.ending if isinstance(value, TaxId) else value
