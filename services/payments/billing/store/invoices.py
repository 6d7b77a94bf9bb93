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


def next_number(session: Session, year: int) -> int:
    """Take the next invoice number. The row stays locked until the transaction ends, so that none is skipped."""
    statement = insert(NumberRow).values(year=year, last=1)
    statement = statement.on_conflict_do_update(index_elements=["year"], set_={"last": NumberRow.last + 1})
    return session.execute(statement.returning(NumberRow.last)).scalar_one()


def add(session: Session, invoice: Invoice) -> None:
    """Save a new invoice. The constraint `invoices_installment_unique` refuses a second one of an installment."""
    session.execute(
        sa.insert(InvoiceRow).values(
            id=invoice.id,
            number=invoice.number,
            user_id=invoice.user_id,
            policy_id=invoice.policy_id,
            installment_number=invoice.installment.number,
            status=invoice.state,
            issued_at=invoice.issued_at,
            paid_at=invoice.paid_at,
            version=invoice.version,
        )
    )


def save(session: Session, invoice: Invoice) -> None:
    """Save what changed in an invoice."""
    session.execute(
        sa.update(InvoiceRow)
        .where(InvoiceRow.id == invoice.id)
        .values(status=invoice.state, paid_at=invoice.paid_at, version=invoice.version)
    )


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
