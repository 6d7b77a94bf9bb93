"""Invoices: each is the bill of one installment, whose amounts and due date it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.premium import Premium
from services.payments.billing.rules.invoice import Installment, Invoice, State, payable_until
from services.payments.billing.store.rows import BillingRow, InstallmentRow, InvoiceRow, NumberRow

_invoices = InvoiceRow.__table__
_numbers = NumberRow.__table__
_ALL = (
    sa.select(
        *_invoices.c,
        InstallmentRow.due_on,
        InstallmentRow.net,
        InstallmentRow.tax,
        InstallmentRow.fees,
        BillingRow.currency,
        BillingRow.starts_on,
        BillingRow.time_zone,
    )
    .join(
        InstallmentRow,
        (InstallmentRow.policy_id == _invoices.c.policy_id) & (InstallmentRow.number == _invoices.c.installment_number),
    )
    .join(BillingRow, BillingRow.policy_id == _invoices.c.policy_id)
)
_BY_ID = _ALL.where(_invoices.c.id == sa.bindparam("id"))
_ADD = sa.insert(_invoices)
_SAVE = sa.update(_invoices).where(_invoices.c.id == sa.bindparam("key"))
_ADD_NUMBER = (
    insert(_numbers)
    .values(last=1)
    .on_conflict_do_update(index_elements=["year"], set_={"last": _numbers.c.last + 1})
    .returning(_numbers.c.last)
)


def find(session: Session, invoice_id: UUID) -> Invoice | None:
    """The invoice as it stands."""
    row = session.execute(_BY_ID, {"id": invoice_id}).one_or_none()
    return invoice_from_row(row) if row else None


def lock(session: Session, invoice_id: UUID) -> Invoice | None:
    """The invoice as it stands, kept from other changes until the transaction ends.

    Whoever changes an invoice and a payment of it locks the invoice first.
    """
    session.execute(sa.select(_invoices.c.id).where(_invoices.c.id == invoice_id).with_for_update())
    return find(session, invoice_id)


def list_of(
    session: Session, scope: Scope, policy_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Invoice]:
    """The invoices of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_ALL, scope, owner=_invoices.c.user_id).order_by(_invoices.c.id.desc()).limit(limit)
    if policy_id is not None:
        query = query.where(_invoices.c.policy_id == policy_id)
    if after is not None:
        query = query.where(_invoices.c.id < after)
    return [invoice_from_row(row) for row in session.execute(query)]


def add_number(session: Session, year: int) -> int:
    """Take the next invoice number. The row stays locked until the transaction ends, so that none is skipped."""
    number: int = session.execute(_ADD_NUMBER, {"year": year}).scalar_one()
    return number


def add(session: Session, invoice: Invoice) -> None:
    """Save a new invoice. The constraint `invoices_installment_unique` refuses a second one of an installment."""
    session.execute(_ADD, row_from_invoice(invoice))


def save(session: Session, invoice: Invoice) -> None:
    """Save what changed in an invoice."""
    session.execute(_SAVE, {"key": invoice.id, **changes_from_invoice(invoice)})


def row_from_invoice(invoice: Invoice) -> dict[str, Any]:
    """The row of an invoice."""
    return {
        "id": invoice.id,
        "number": invoice.number,
        "user_id": invoice.user_id,
        "policy_id": invoice.policy_id,
        "installment_number": invoice.installment.number,
        "issued_at": invoice.issued_at,
        **changes_from_invoice(invoice),
    }


def changes_from_invoice(invoice: Invoice) -> dict[str, Any]:
    """The part of an invoice's row that changes."""
    return {"status": invoice.state, "paid_at": invoice.paid_at, "version": invoice.version}


def invoice_from_row(row: Any) -> Invoice:
    """The invoice of a row with its installment."""
    return Invoice(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        policy_id=row.policy_id,
        installment=Installment(
            row.installment_number, row.due_on, Premium.of_minor(row.net, row.tax, row.fees, row.currency)
        ),
        issued_at=row.issued_at,
        state=State(row.status),
        paid_at=row.paid_at,
        version=row.version,
        time_zone=row.time_zone,
        payable_until=payable_until(row.installment_number, row.starts_on, row.time_zone),
    )
