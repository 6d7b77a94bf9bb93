"""Customers in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.users.people.rules.customer import Address, Customer, Kind
from services.users.people.rules.tax_id import TaxId
from services.users.people.store.rows import CustomerRow, HistoryRow

_customers = CustomerRow.__table__
_CUSTOMER = sa.select(*_customers.c)
_BY_ID = _CUSTOMER.where(_customers.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update()
_ADD = sa.insert(_customers)
_SAVE = sa.update(_customers).where(_customers.c.id == sa.bindparam("key"))
_LOCK_TAX_ID = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger)))
_ADD_HISTORY = sa.insert(HistoryRow.__table__)
_AS_THEY_ARE = (
    "id", "name", "birth_date", "locale", "partner_id", "partner_since", "next_partner_id", "next_partner_since",
    "created_at", "updated_at", "version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which customers are asked for; what is empty lets everybody pass."""

    name: str = ""
    email: str = ""
    phone: str = ""
    tax_id_hash: bytes = b""
    partner_id: UUID | None = None


def find(session: Session, customer_id: UUID) -> Customer | None:
    """The customer as they are."""
    row = session.execute(_BY_ID, {"id": customer_id}).one_or_none()
    return customer_from_row(row) if row else None


def find_known(session: Session, customer_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of the ids that are customers'."""
    return frozenset(session.scalars(sa.select(_customers.c.id).where(_customers.c.id.in_(customer_ids))))


def lock(session: Session, customer_id: UUID) -> Customer | None:
    """The customer as they are, kept from other changes until the transaction ends."""
    row = session.execute(_LOCKED, {"id": customer_id}).one_or_none()
    return customer_from_row(row) if row else None


def list_of(session: Session, scope: Scope, criteria: Filter, after: UUID | None, limit: int) -> Sequence[Customer]:
    """The customers of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_CUSTOMER, scope, owner=_customers.c.id, partner=_customers.c.partner_id)
    query = query.order_by(_customers.c.id.desc()).limit(limit)
    if criteria.name:
        query = query.where(_customers.c.name == criteria.name)
    if criteria.email:
        query = query.where(_customers.c.emails.contains([criteria.email.lower()]))
    if criteria.phone:
        query = query.where(_customers.c.phones.contains([criteria.phone]))
    if criteria.tax_id_hash:
        query = query.where(_customers.c.tax_id_hash == criteria.tax_id_hash)
    if criteria.partner_id is not None:
        query = query.where(_customers.c.partner_id == criteria.partner_id)
    if after is not None:
        query = query.where(_customers.c.id < after)
    return [customer_from_row(row) for row in session.execute(query)]


def lock_tax_id(session: Session, digest: bytes) -> None:
    """Keep others from looking whether a customer has a tax id, until the transaction ends."""
    session.execute(_LOCK_TAX_ID, {"key": int.from_bytes(digest[:8], signed=True)})


def find_duplicate(session: Session, scope: Scope, digest: bytes, partner_id: UUID | None) -> Customer | None:
    """A customer of a scope and of that partner, or of none, who has the tax id."""
    of_partner = _customers.c.partner_id.is_not_distinct_from(partner_id)
    query = scoped(_CUSTOMER, scope, owner=_customers.c.id, partner=_customers.c.partner_id)
    row = session.execute(query.where(_customers.c.tax_id_hash == digest, of_partner).limit(1)).one_or_none()
    return customer_from_row(row) if row else None


def add(session: Session, customer: Customer) -> None:
    """Save a new customer."""
    session.execute(_ADD, row_from_customer(customer))


def save(session: Session, customer: Customer) -> None:
    """Save a changed customer, who has to be locked."""
    session.execute(_SAVE, {"key": customer.id, **row_from_customer(customer)})


def add_history(
    session: Session,
    customer: Customer,
    actor: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
    trace_id: str,
) -> None:
    """Keep what a change changed. `customer` is the one who came of it."""
    session.execute(
        _ADD_HISTORY,
        {
            "customer_id": customer.id,
            "version": customer.version,
            "at": customer.updated_at,
            "actor": actor,
            "before": _plain(before),
            "after": _plain(after),
            "trace_id": trace_id,
        },
    )


def row_from_customer(customer: Customer) -> dict[str, Any]:
    """The row of a customer."""
    tax_id = customer.tax_id
    row = {name: getattr(customer, name) for name in _AS_THEY_ARE}
    return row | {
        "kind": customer.kind.value,
        "emails": list(customer.emails),
        "phones": list(customer.phones),
        "address": asdict(customer.address) if customer.address else None,
        "tax_id_hash": tax_id.digest if tax_id else None,
        "tax_id_sealed": tax_id.sealed if tax_id else None,
        "tax_id_ending": tax_id.ending if tax_id else None,
    }


def customer_from_row(row: Any) -> Customer:
    """The customer of a row."""
    address = row.address
    return Customer(
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        kind=Kind(row.kind),
        emails=tuple(row.emails),
        phones=tuple(row.phones),
        address=Address(**address | {"lines": tuple(address["lines"])}) if address else None,
        tax_id=TaxId(bytes(row.tax_id_hash), row.tax_id_sealed, row.tax_id_ending) if row.tax_id_hash else None,
    )


def _plain(values: Mapping[str, object]) -> Any:
    """Values as JSON has them; what it has no form for becomes text."""
    return json.loads(
        json.dumps(dict(values), default=lambda value: asdict(value) if isinstance(value, Address) else str(value))
    )
