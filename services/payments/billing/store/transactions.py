"""The transactions of policies that were applied, their lines, and the timelines that they left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from libs.premium import ChargeLine, LineKind
from services.payments.billing.rules.transaction import TimelineLine, Transaction
from services.payments.billing.store.rows import ChargeLineRow, TimelineLineRow, TransactionRow

_applied = TransactionRow.__table__
_lines = ChargeLineRow.__table__
_ADD = sa.insert(_applied)
_ADD_LINES = sa.insert(_lines)
_ADD_TIMELINE = sa.insert(TimelineLineRow.__table__)
_BY_ID = sa.select(
    _applied.c.account_id, _applied.c.sequence, _applied.c.total, _applied.c.fingerprint, _applied.c.reply
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What is remembered of a transaction that was applied. What was billed before there was the call has no reply."""

    account_id: UUID
    sequence: int
    total: int
    fingerprint: bytes | None
    reply: bytes | None


def find(session: Session, transaction_id: UUID) -> Applied | None:
    """A transaction that was applied."""
    row = session.execute(_BY_ID.where(_applied.c.transaction_id == transaction_id)).one_or_none()
    return Applied(*row) if row else None


def list_lines(session: Session, account_id: UUID, currency: str) -> Sequence[ChargeLine]:
    """The lines of all transactions of an account, in the order they were applied."""
    query = (
        sa.select(*_lines.c)
        .join(_applied, _applied.c.transaction_id == _lines.c.transaction_id)
        .where(_applied.c.account_id == account_id)
        .order_by(_applied.c.sequence, _lines.c.number)
    )
    return [line_from_row(row, currency) for row in session.execute(query)]


def find_plan_code(session: Session, account_id: UUID) -> str | None:
    """The installment plan of the first transaction of an account."""
    query = sa.select(_applied.c.plan_code)
    return session.scalar(query.where(_applied.c.account_id == account_id, _applied.c.sequence == 1))


def add(session: Session, transaction: Transaction, now: datetime, fingerprint: bytes | None, reply: bytes) -> None:
    """Save a transaction with what it was answered, its lines and its timeline.

    The constraints `applied_transactions_unique` and `applied_transactions_in_order` refuse a second one.
    """
    row = {**row_from_transaction(transaction), "applied_at": now, "fingerprint": fingerprint, "reply": reply}
    session.execute(_ADD, row)
    key = transaction.id
    if transaction.lines:
        lines = enumerate(transaction.lines, 1)
        session.execute(_ADD_LINES, [{"transaction_id": key, "number": n, **row_from_line(line)} for n, line in lines])
    if transaction.timeline:
        stretches = enumerate(transaction.timeline, 1)
        rows = [{"transaction_id": key, "number": n, **row_from_stretch(item)} for n, item in stretches]
        session.execute(_ADD_TIMELINE, rows)


def row_from_transaction(transaction: Transaction) -> dict[str, Any]:
    """What the row of a transaction says of it alone."""
    return {
        "transaction_id": transaction.id,
        "account_id": transaction.policy_id,
        "sequence": transaction.sequence,
        "kind": transaction.kind,
        "term_number": transaction.term_number,
        "product_code": transaction.product_code,
        "product_version": transaction.product_version,
        "term_starts_on": transaction.term_starts_on,
        "term_ends_on": transaction.term_ends_on,
        "effective_on": transaction.effective_on,
        "issued_at": transaction.issued_at,
        "plan_code": transaction.plan.code,
        "total": transaction.total.minor,
        "reverses": transaction.reverses,
        "reason": transaction.reason,
    }


def row_from_line(line: ChargeLine) -> dict[str, Any]:
    """What the row of a line says of it alone."""
    return {
        "term_number": line.term_number,
        "kind": line.kind,
        "coverage_code": line.coverage_code,
        "charge_code": line.charge_code,
        "object_id": line.object_id,
        "starts_on": line.starts_on,
        "ends_on": line.ends_on,
        "amount": line.amount.minor,
        "commissionable": line.commissionable,
    }


def row_from_stretch(stretch: TimelineLine) -> dict[str, Any]:
    """What the row of a stretch of a timeline says of it alone."""
    return {
        "term_number": stretch.term_number,
        "object_id": stretch.object_id,
        "coverage_code": stretch.coverage_code,
        "starts_on": stretch.starts_on,
        "ends_on": stretch.ends_on,
        "full_term_amount": stretch.full_term_amount.minor,
        "term_days": stretch.term_days,
    }


def line_from_row(row: Any, currency: str) -> ChargeLine:
    """The line of a row. The end of the days of one that was billed before there were lines is not known."""
    return ChargeLine(
        kind=LineKind(row.kind),
        amount=Money(row.amount, currency),
        starts_on=row.starts_on,
        ends_on=row.ends_on or row.starts_on,
        coverage_code=row.coverage_code,
        charge_code=row.charge_code,
        object_id=row.object_id,
        term_number=row.term_number,
        commissionable=row.commissionable,
    )
