"""The stack of a policy's transactions in the database; append-only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from libs.money import Money
from libs.premium import ChargeLine, LineKind
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType
from services.policies.lifecycle.store import changes
from services.policies.lifecycle.store.rows import TransactionRow

_transactions = TransactionRow.__table__
_ADD = sa.insert(_transactions)
_OF_POLICY = sa.select(*_transactions.c).where(_transactions.c.policy_id == sa.bindparam("policy_id"))
_LAST = _OF_POLICY.order_by(_transactions.c.sequence.desc()).limit(1)
_BY_SOURCE = _OF_POLICY.where(
    _transactions.c.type == sa.bindparam("type"), _transactions.c.source_id == sa.bindparam("source_id")
)
_BILLED = sa.select(sa.func.max(_transactions.c.billing_sequence)).where(
    _transactions.c.policy_id == sa.bindparam("policy_id")
)
_SAVE_MISSING = sa.update(_transactions).where(_transactions.c.id == sa.bindparam("key"))


def list_behind(session: Session, policy_id: UUID, after: int, limit: int) -> Sequence[Transaction]:
    """The stack of a policy, oldest first, behind the sequence `after`."""
    query = _OF_POLICY.where(_transactions.c.sequence > after).order_by(_transactions.c.sequence).limit(limit)
    return [transaction_from_row(row) for row in session.execute(query, {"policy_id": policy_id})]


def list_stack(session: Session, policy_id: UUID) -> tuple[Transaction, ...]:
    """The whole stack of a policy, oldest first, with what each transaction changed and the prices that it brought.

    The policy has a timeline: what the first term was opened with, and when it was paid for, stands there alone.
    """
    rows = session.execute(_OF_POLICY.order_by(_transactions.c.sequence), {"policy_id": policy_id})
    stack = [transaction_from_row(row) for row in rows]
    missing = {item.id for item in stack if item.change is None and item.reverses is None}
    written = changes.find_written(session, policy_id, missing)
    return tuple(changes.completed_from_row(item, written[item.id]) if item.id in written else item for item in stack)


def find(session: Session, policy_id: UUID, transaction_id: UUID) -> Transaction | None:
    """One transaction of a policy."""
    query = _OF_POLICY.where(_transactions.c.id == transaction_id)
    row = session.execute(query, {"policy_id": policy_id}).one_or_none()
    return transaction_from_row(row) if row else None


def find_last(session: Session, policy_id: UUID) -> Transaction:
    """The newest transaction of a policy; there is one, because a policy begins with one."""
    return transaction_from_row(session.execute(_LAST, {"policy_id": policy_id}).one())


def find_by_source(session: Session, policy_id: UUID, kind: TransactionType, source_id: str) -> Transaction | None:
    """The transaction of a type that something caused: a payment, for example."""
    row = session.execute(_BY_SOURCE, {"policy_id": policy_id, "type": kind, "source_id": source_id}).one_or_none()
    return transaction_from_row(row) if row else None


def find_changed(session: Session, policy_id: UUID, day: date, after: datetime, before: datetime) -> UUID | None:
    """A change of what is insured from a day on that was issued between two moments."""
    query = sa.select(_transactions.c.id).where(
        _transactions.c.policy_id == policy_id,
        _transactions.c.type == TransactionType.ENDORSEMENT,
        _transactions.c.effective_on == day,
        _transactions.c.issued_at > after,
        _transactions.c.issued_at < before,
    )
    return session.scalar(query.limit(1))


def find_last_quote(session: Session, policy_id: UUID) -> UUID | None:
    """The quote by which the last days of a policy were priced: that of the change that none behind it takes back."""
    taken_back = sa.select(_transactions.c.reverses).where(
        _transactions.c.policy_id == policy_id, _transactions.c.reverses.is_not(None)
    )
    query = sa.select(_transactions.c.quote_id).where(
        _transactions.c.policy_id == policy_id,
        _transactions.c.quote_id.is_not(None),
        _transactions.c.id.not_in(taken_back),
    )
    newest = query.order_by(_transactions.c.effective_on.desc(), _transactions.c.sequence.desc())
    return session.scalar(newest.limit(1))


def find_next_billing_sequence(session: Session, policy_id: UUID) -> int:
    """The position of the next transaction of a policy that payments is told of."""
    return (session.scalar(_BILLED, {"policy_id": policy_id}) or 0) + 1


def find_last_billed(session: Session, policy_ids: Sequence[UUID]) -> dict[UUID, tuple[int, datetime]]:
    """Of each policy, the position and the issue of the last transaction that payments is told of."""
    billed = _transactions.c.billing_sequence
    query = (
        sa.select(_transactions.c.policy_id, billed, _transactions.c.issued_at)
        .where(_transactions.c.policy_id.in_(policy_ids), billed.is_not(None))
        .ext(distinct_on(_transactions.c.policy_id))
        .order_by(_transactions.c.policy_id, billed.desc())
    )
    return {row.policy_id: (row.billing_sequence, row.issued_at) for row in session.execute(query)}


def add(session: Session, policy_id: UUID, transaction: Transaction, currency: str) -> None:
    """Put a transaction on a policy's stack."""
    session.execute(_ADD, {"policy_id": policy_id, **row_from_transaction(transaction, currency)})


def save_missing(session: Session, transaction: Transaction) -> None:
    """Save what a transaction of before does not say. The database refuses it for one that says it already."""
    missing = {
        "lines": [list(row_from_line(line)) for line in transaction.lines],
        "quote_id": transaction.quote_id,
        "billing_sequence": transaction.billing_sequence,
    }
    session.execute(_SAVE_MISSING, {"key": transaction.id, **missing})


def row_from_transaction(transaction: Transaction, currency: str) -> dict[str, Any]:
    """What the row of a transaction says of it alone."""
    return {
        "id": transaction.id,
        "sequence": transaction.sequence,
        "type": transaction.type,
        "effective_on": transaction.effective_on,
        "issued_at": transaction.issued_at,
        "premium_change": premium_of(transaction.lines, currency).net.minor,
        "currency": currency,
        "source_id": transaction.source_id,
        "term_number": transaction.term_number,
        "change": changes.row_from_change(transaction),
        "reason": transaction.reason,
        "actor": transaction.actor,
        "note": transaction.note,
        "reverses": transaction.reverses,
        "quote_id": transaction.quote_id,
        "billing_sequence": transaction.billing_sequence,
        "lines": [list(row_from_line(line)) for line in transaction.lines],
    }


def transaction_from_row(row: Any) -> Transaction:
    """The transaction of a row."""
    return Transaction(
        row.id,
        row.sequence,
        TransactionType(row.type),
        row.effective_on,
        row.issued_at,
        changes.change_from_row(row),
        row.reverses,
        lines=_lines(row),
        term_number=row.term_number,
        billing_sequence=row.billing_sequence,
        quote_id=row.quote_id,
        source_id=row.source_id,
        reason=row.reason,
        actor=row.actor,
        prices=changes.prices_from_row(row),
        note=row.note,
    )


def _lines(row: Any) -> tuple[ChargeLine, ...]:
    """The lines of a transaction; of one of before, what it changed in one line that names no coverage."""
    if row.lines is not None:
        return tuple(line_from_row(*line, currency=row.currency) for line in row.lines)
    if not row.premium_change:
        return ()
    return (ChargeLine(LineKind.PREMIUM, Money(row.premium_change, row.currency), row.effective_on, row.effective_on),)


def row_from_line(line: ChargeLine) -> tuple[object, ...]:
    """A line as an array of JSON."""
    return (
        line.kind,
        line.term_number,
        line.object_id,
        line.coverage_code,
        line.charge_code,
        line.starts_on.isoformat(),
        line.ends_on.isoformat(),
        line.amount.minor,
        line.commissionable,
    )


def line_from_row(
    kind: str,
    term_number: int,
    object_id: str,
    coverage_code: str,
    charge_code: str,
    starts_on: str,
    ends_on: str,
    minor: int,
    commissionable: bool,
    *,
    currency: str,
) -> ChargeLine:
    """The line of such an array."""
    return ChargeLine(
        LineKind(kind),
        Money(minor, currency),
        date.fromisoformat(starts_on),
        date.fromisoformat(ends_on),
        coverage_code=coverage_code,
        charge_code=charge_code,
        object_id=object_id,
        term_number=term_number,
        commissionable=commissionable,
    )
