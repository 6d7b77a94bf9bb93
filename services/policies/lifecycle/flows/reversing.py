"""Taking the last transaction of money back, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs import ids
from libs.errors import ResourceNotFound
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import reversal
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.reversal import NotLastTransaction
from services.policies.lifecycle.rules.transaction import Transaction


def target_of(made: Contract, transaction_id: UUID) -> Transaction:
    """The transaction that is to be taken back. `NotLastTransaction` where another one would have to be before it."""
    if all(item.id != transaction_id for item in made.stack):
        raise ResourceNotFound(resource="transaction")
    last = reversal.last_of(made)
    if last is None or last.id != transaction_id:
        raise NotLastTransaction(transaction_id=ids.encode("ptx", last.id) if last else "")
    return last


def decide(made: Contract, transaction_id: UUID, source: str, now: datetime, **details: object) -> Decision:
    """The decision to take a transaction back. `source` is the approval that it was waiting for.

    Raises what `target_of` raises. The audit log keeps which one it was, and `details`.
    """
    target = target_of(made, transaction_id)
    changed = reversal.reverse(made, target, source, now, transaction_id=ids.new())
    return Decision(
        changed,
        "transaction_reversed",
        details={"reverses": ids.encode("ptx", target.id), "type": target.type, **details},
    )
