"""The stack of a policy's transactions in the database; append-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from services.policies.lifecycle.rules.policy import Transaction, TransactionType
from services.policies.lifecycle.store.rows import TransactionRow

_transactions = TransactionRow.__table__
_ADD = sa.insert(_transactions)


def list_behind(session: Session, policy_id: UUID, after: int, limit: int) -> Sequence[Transaction]:
    """The stack of a policy, oldest first, behind the sequence `after`."""
    query = (
        sa.select(*_transactions.c)
        .where(_transactions.c.policy_id == policy_id, _transactions.c.sequence > after)
        .order_by(_transactions.c.sequence)
        .limit(limit)
    )
    return [transaction_from_row(row) for row in session.execute(query)]


def add(session: Session, policy_id: UUID, transaction: Transaction) -> None:
    """Put a transaction on a policy's stack."""
    session.execute(_ADD, {"policy_id": policy_id, **row_from_transaction(transaction)})


def row_from_transaction(transaction: Transaction) -> dict[str, Any]:
    """What the row of a transaction says of it alone."""
    return {
        "id": transaction.id,
        "sequence": transaction.sequence,
        "type": transaction.type,
        "effective_on": transaction.effective_on,
        "issued_at": transaction.issued_at,
        "premium_change": transaction.premium_change.minor,
        "currency": transaction.premium_change.currency,
        "source_id": transaction.source_id,
    }


def transaction_from_row(row: Any) -> Transaction:
    """The transaction of a row."""
    return Transaction(
        row.id,
        row.sequence,
        TransactionType(row.type),
        row.effective_on,
        row.issued_at,
        Money(row.premium_change, row.currency),
        row.source_id,
    )
