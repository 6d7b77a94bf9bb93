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
from services.users.people.store.rows import CustomerRow, HistoryRow

_customers = CustomerRow.__table__
_CUSTOMER = sa.select(*_customers.c)
_BY_ID = _CUSTOMER.where(_customers.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update()
_ADD = sa.insert(_customers)
_SAVE = sa.update(_customers).where(_customers.c.id == sa.bindparam("key"))
_ADD_HISTORY = sa.insert(HistoryRow.__table__)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which customers are asked for; what is empty lets everybody pass."""

    name: str = ""
    email: str = ""
    phone: str = ""
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
    if criteria.partner_id is not None:
        query = query.where(_customers.c.partner_id == criteria.partner_id)
    if after is not None:
        query = query.where(_customers.c.id < after)
    return [customer_from_row(row) for row in session.execute(query)]


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
    row = {column.name: getattr(customer, column.name) for column in _customers.c}
    return row | {
        "kind": customer.kind.value,
        "emails": list(customer.emails),
        "phones": list(customer.phones),
        "address": asdict(customer.address) if customer.address else None,
    }


def customer_from_row(row: Any) -> Customer:
    """The customer of a row."""
    columns = {column.name: getattr(row, column.name) for column in _customers.c}
    address = row.address
    return Customer(
        **columns
        | {
            "kind": Kind(row.kind),
            "emails": tuple(row.emails),
            "phones": tuple(row.phones),
            "address": Address(**address | {"lines": tuple(address["lines"])}) if address else None,
        }
    )


def _plain(values: Mapping[str, object]) -> Any:
    """Values as JSON has them; what it has no form for becomes text."""
    return json.loads(
        json.dumps(dict(values), default=lambda value: asdict(value) if isinstance(value, Address) else str(value))
    )
