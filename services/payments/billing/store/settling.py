"""What settled invoices: allocations of payments and of credit; and the movements of an account's credit."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.payments.billing.rules.transaction import ENDINGS, Kind
from services.payments.billing.store.rows import AllocationRow, CreditRow, TransactionRow

_credits = CreditRow.__table__
_ADD_ALLOCATION = sa.insert(AllocationRow.__table__)
_ADD_CREDIT = sa.insert(_credits)
_CREDIT = sa.select(sa.func.coalesce(sa.func.sum(_credits.c.amount), 0)).where(
    _credits.c.account_id == sa.bindparam("account_id")
)

_HISTORY = (
    sa.select(TransactionRow.transaction_id, TransactionRow.kind, TransactionRow.reverses)
    .where(TransactionRow.account_id == sa.bindparam("account_id"))
    .order_by(TransactionRow.sequence)
)


def find_credit(session: Session, account_id: UUID) -> int:
    """The credit of an account, in minor units."""
    return int(session.execute(_CREDIT, {"account_id": account_id}).scalar_one())


def find_given_back(session: Session, account_id: UUID, reverses: UUID | None) -> int:
    """What the endings that are undone gave back beyond what was planned, in minor units.

    It is the one that a reversal takes back, or all since cover last went on.
    """
    endings = [reverses] if reverses else []
    if not reverses:
        history = session.execute(_HISTORY, {"account_id": account_id}).all()
        taken_back = {row.reverses for row in history}
        for row in history:
            if row.transaction_id not in taken_back and row.kind == Kind.REINSTATEMENT:
                endings = []
            elif row.transaction_id not in taken_back and row.kind in ENDINGS:
                endings.append(row.transaction_id)
    return int(
        session.execute(_CREDIT.where(_credits.c.transaction_id.in_(endings)), {"account_id": account_id}).scalar_one()
    )


def add_allocation(
    session: Session, allocation_id: UUID, invoice_id: UUID, amount: int, now: datetime, *, payment_id: UUID | None
) -> None:
    """Save what a payment, or credit where there is none, settled of an invoice.

    The database refuses at commit what is not the sum that the invoice says, or more than it demands.
    """
    row = {"id": allocation_id, "invoice_id": invoice_id, "payment_id": payment_id}
    session.execute(_ADD_ALLOCATION, {**row, "amount": amount, "allocated_at": now})


def add_credit(
    session: Session,
    movement_id: UUID,
    account_id: UUID,
    amount: int,
    now: datetime,
    *,
    transaction_id: UUID | None = None,
    payment_id: UUID | None = None,
    allocation_id: UUID | None = None,
    refund_id: UUID | None = None,
) -> None:
    """Save a movement of credit: from a transaction or a payment, or to an allocation; then it is negative.

    To a refund it is negative too, and positive for what of it is credit again.

    The database refuses at commit a credit below nothing.
    """
    origin = {"transaction_id": transaction_id, "payment_id": payment_id, "allocation_id": allocation_id}
    origin["refund_id"] = refund_id
    row = {"id": movement_id, "account_id": account_id, "amount": amount, "moved_at": now}
    session.execute(_ADD_CREDIT, {**row, **origin})
