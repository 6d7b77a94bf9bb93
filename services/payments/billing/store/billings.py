"""Billings and their installments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.premium import Premium
from services.payments.billing.rules.invoice import Billed, Billing, Installment
from services.payments.billing.store.rows import BillingRow, InstallmentRow, InvoiceRow, UnbilledRow

_billings = BillingRow.__table__
_unbilled = UnbilledRow.__table__
_ADD = insert(_billings).on_conflict_do_nothing().returning(_billings.c.policy_id)
_ADD_INSTALLMENTS = sa.insert(InstallmentRow.__table__)

# A billing with its installments: one statement, one row an installment.
_BY_POLICY = (
    sa.select(
        *_billings.c,
        InstallmentRow.number,
        InstallmentRow.due_on,
        InstallmentRow.net.label("part_net"),
        InstallmentRow.tax.label("part_tax"),
        InstallmentRow.fees.label("part_fees"),
        InvoiceRow.id.label("invoice_id"),
        InvoiceRow.paid_at,
    )
    .join(InstallmentRow, InstallmentRow.policy_id == _billings.c.policy_id)
    .outerjoin(
        InvoiceRow,
        (InvoiceRow.policy_id == InstallmentRow.policy_id) & (InvoiceRow.installment_number == InstallmentRow.number),
    )
    .where(_billings.c.policy_id == sa.bindparam("policy_id"))
    .order_by(InstallmentRow.number)
)


def find(session: Session, policy_id: UUID) -> tuple[Billing, dict[int, Billed]] | None:
    """The billing of a policy, and what became of its installments so far, by their number."""
    rows = session.execute(_BY_POLICY, {"policy_id": policy_id}).all()
    if not rows:
        return None
    billed = {row.number: Billed(row.invoice_id, row.paid_at is not None) for row in rows if row.invoice_id}
    return billing_from_rows(rows), billed


def add(session: Session, billing: Billing) -> bool:
    """Save a new billing with its installments; False, saving nothing, when the policy has one.

    Waits for another transaction that is saving one for the same policy.
    """
    if session.execute(_ADD, row_from_billing(billing)).one_or_none() is None:
        return False
    session.execute(
        _ADD_INSTALLMENTS,
        [{"policy_id": billing.policy_id, **row_from_installment(part)} for part in billing.installments],
    )
    return True


def lock(session: Session, policy_id: UUID) -> None:
    """Keep others from billing the installments of a policy until the transaction ends."""
    session.execute(sa.select(_billings.c.policy_id).where(_billings.c.policy_id == policy_id).with_for_update())


def list_unbilled(session: Session, due_until: date, limit: int) -> Sequence[tuple[UUID, int]]:
    """Policies and numbers of the installments that fall due until a day and have no invoice, earliest first.

    Only of policies whose first premium is paid: nobody owes for one that is not in force.
    """
    query = (
        sa.select(*_unbilled.c)
        .where(_unbilled.c.due_on <= due_until)
        .order_by(_unbilled.c.due_on, _unbilled.c.policy_id, _unbilled.c.number)
        .limit(limit)
    )
    return [(row.policy_id, row.number) for row in session.execute(query)]


def delete_unbilled(session: Session, policy_id: UUID, number: int) -> None:
    """Take an installment off the list of those without an invoice, should it still be there."""
    session.execute(sa.delete(_unbilled).where(_unbilled.c.policy_id == policy_id, _unbilled.c.number == number))


def row_from_billing(billing: Billing) -> dict[str, Any]:
    """The row of a billing."""
    return {
        "policy_id": billing.policy_id,
        "user_id": billing.user_id,
        "transaction_id": billing.transaction_id,
        "plan_code": billing.plan_code,
        "starts_on": billing.starts_on,
        "issued_at": billing.issued_at,
        "currency": billing.premium.net.currency,
        "net": billing.premium.net.minor,
        "tax": billing.premium.tax.minor,
        "fees": billing.premium.fees.minor,
        "payment_method": billing.payment_method,
        "time_zone": billing.time_zone,
    }


def row_from_installment(part: Installment) -> dict[str, Any]:
    """What the row of an installment says of it alone."""
    return {
        "number": part.number,
        "due_on": part.due_on,
        "net": part.premium.net.minor,
        "tax": part.premium.tax.minor,
        "fees": part.premium.fees.minor,
    }


def billing_from_rows(rows: Sequence[Any]) -> Billing:
    """The billing of its rows, one an installment."""
    first = rows[0]
    return Billing(
        policy_id=first.policy_id,
        user_id=first.user_id,
        transaction_id=first.transaction_id,
        plan_code=first.plan_code,
        starts_on=first.starts_on,
        issued_at=first.issued_at,
        premium=Premium.of_minor(first.net, first.tax, first.fees, first.currency),
        payment_method=first.payment_method,
        time_zone=first.time_zone,
        installments=tuple(
            Installment(
                row.number, row.due_on, Premium.of_minor(row.part_net, row.part_tax, row.part_fees, first.currency)
            )
            for row in rows
        ),
    )
