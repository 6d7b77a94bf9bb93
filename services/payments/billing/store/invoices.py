"""Invoices: each says what it demands, by items, and how much of that is settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.premium import LineKind
from services.payments.billing.rules.amounts import Amounts
from services.payments.billing.rules.invoice import UNSETTLED, Invoice, State
from services.payments.billing.store.rows import InvoiceRow, ItemRow

_invoices = InvoiceRow.__table__
_items = ItemRow.__table__
_ITEMS = (
    sa.select(sa.func.jsonb_agg(sa.func.jsonb_build_array(_items.c.kind, _items.c.charge_code, _items.c.amount)))
    .where(_items.c.invoice_id == _invoices.c.id)
    .scalar_subquery()
    .label("amounts")
)
_ALL = sa.select(*_invoices.c, _ITEMS)
_BY_ID = _ALL.where(_invoices.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update(of=_invoices)
_OF_POLICY = _ALL.where(_invoices.c.policy_id == sa.bindparam("policy_id"))
_UNSETTLED = _OF_POLICY.where(_invoices.c.status.in_(UNSETTLED)).order_by(_invoices.c.due_on, _invoices.c.id)
_LOCK_UNSETTLED = _UNSETTLED.with_for_update(of=_invoices)
_LOCK_UNSETTLED_OF_ALL = (
    _ALL.where(
        _invoices.c.policy_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
        _invoices.c.status.in_(UNSETTLED),
    )
    .order_by(_invoices.c.policy_id, _invoices.c.due_on, _invoices.c.id)
    .with_for_update(of=_invoices)
)
_LAST_NUMBERS = (
    sa.select(_invoices.c.term_number, sa.func.max(_invoices.c.installment_number).label("last"))
    .where(_invoices.c.policy_id == sa.bindparam("policy_id"), _invoices.c.installment_number.is_not(None))
    .group_by(_invoices.c.term_number)
)
_SAVE = sa.update(_invoices).where(_invoices.c.id == sa.bindparam("key"))
# The number is drawn as late as can be, and nobody waits for it: one that is drawn and not used is missing.
_NUMBER = sa.text("""
    (SELECT concat('INV-', CAST(:year AS text), '-', lpad(n::text, greatest(6, length(n::text)), '0'))
     FROM nextval('invoice_numbers_drawn') AS n)
""")
_ADD = sa.insert(_invoices).values(number=_NUMBER).returning(_invoices.c.number)
_ADD_ITEMS = sa.insert(_items)


def find(session: Session, invoice_id: UUID) -> Invoice | None:
    """The invoice as it stands."""
    row = session.execute(_BY_ID, {"id": invoice_id}).one_or_none()
    return invoice_from_row(row) if row else None


def lock(session: Session, invoice_id: UUID) -> Invoice | None:
    """The invoice as it stands, kept from other changes until the transaction ends.

    Whoever changes an invoice and a payment of it locks the invoice first.
    """
    row = session.execute(_LOCK, {"id": invoice_id}).one_or_none()
    return invoice_from_row(row) if row else None


def find_unsettled(session: Session, policy_id: UUID) -> Sequence[Invoice]:
    """What is still to be paid for a policy, in the order it fell due."""
    return [invoice_from_row(row) for row in session.execute(_UNSETTLED, {"policy_id": policy_id})]


def find_last_numbers(session: Session, policy_id: UUID) -> dict[int, int]:
    """The highest number of an installment that was billed, by its term."""
    return {row.term_number: row.last for row in session.execute(_LAST_NUMBERS, {"policy_id": policy_id})}


def lock_unsettled(session: Session, policy_id: UUID) -> Sequence[Invoice]:
    """What is still to be paid for a policy, in the order it fell due, kept from other changes."""
    return [invoice_from_row(row) for row in session.execute(_LOCK_UNSETTLED, {"policy_id": policy_id})]


def lock_unsettled_of_all(session: Session, policy_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Invoice]]:
    """As `lock_unsettled`, for many policies; without those that have to pay nothing."""
    unsettled: dict[UUID, list[Invoice]] = defaultdict(list)
    for row in session.execute(_LOCK_UNSETTLED_OF_ALL, {"ids": list(policy_ids)}):
        unsettled[row.policy_id].append(invoice_from_row(row))
    return unsettled


def find_of_policy(session: Session, policy_id: UUID) -> Sequence[Invoice]:
    """All invoices of a policy, in the order of their issue."""
    rows = session.execute(_OF_POLICY.order_by(_invoices.c.id), {"policy_id": policy_id})
    return [invoice_from_row(row) for row in rows]


def list_of(
    session: Session, scope: Scope, policy_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Invoice]:
    """The invoices of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_ALL, scope, owner=_invoices.c.user_id, partner=_invoices.c.partner_id)
    query = query.order_by(_invoices.c.id.desc()).limit(limit)
    if policy_id is not None:
        query = query.where(_invoices.c.policy_id == policy_id)
    if after is not None:
        query = query.where(_invoices.c.id < after)
    return [invoice_from_row(row) for row in session.execute(query)]


def add(session: Session, invoice: Invoice, year: int) -> str:
    """Save a new invoice with its items; gives the number that it got, of a year.

    The constraint `invoices_installment_of_term` refuses a second one of an installment.
    """
    number: str = session.execute(_ADD, {"year": year, **row_from_invoice(invoice)}).scalar_one()
    session.execute(
        _ADD_ITEMS,
        [
            {"invoice_id": invoice.id, "kind": kind, "charge_code": code, "amount": minor}
            for (kind, code), minor in invoice.amounts.columns.items()
        ],
    )
    return number


def save(session: Session, invoice: Invoice) -> None:
    """Save what changed in an invoice."""
    session.execute(_SAVE, {"key": invoice.id, **changes_from_invoice(invoice)})


def row_from_invoice(invoice: Invoice) -> dict[str, Any]:
    """The row of an invoice, but for its number."""
    return {
        "id": invoice.id,
        "user_id": invoice.user_id,
        "partner_id": invoice.partner_id,
        "policy_id": invoice.policy_id,
        "term_number": invoice.term_number,
        "installment_number": invoice.installment_number or None,
        "due_on": invoice.due_on,
        "currency": invoice.amounts.currency,
        "total": invoice.amounts.total.minor,
        "issued_at": invoice.issued_at,
        "time_zone": invoice.time_zone,
        "payable_until": invoice.payable_until,
        **changes_from_invoice(invoice),
    }


def changes_from_invoice(invoice: Invoice) -> dict[str, Any]:
    """The part of an invoice's row that changes."""
    return {
        "status": invoice.state,
        "settled": invoice.settled,
        "paid_at": invoice.paid_at,
        "version": invoice.version,
    }


def invoice_from_row(row: Any) -> Invoice:
    """The invoice of a row with its items."""
    return Invoice(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        partner_id=row.partner_id,
        policy_id=row.policy_id,
        term_number=row.term_number,
        installment_number=row.installment_number or 0,
        due_on=row.due_on,
        amounts=Amounts(row.currency, {(LineKind(kind), code): minor for kind, code, minor in row.amounts}),
        issued_at=row.issued_at,
        time_zone=row.time_zone,
        payable_until=row.payable_until,
        settled=row.settled,
        state=State(row.status),
        paid_at=row.paid_at,
        past_due_at=row.past_due_at,
        version=row.version,
    )
