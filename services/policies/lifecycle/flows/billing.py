"""Having payments told of what a transaction changes, in the caller's transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from libs.jobs import defer
from services.policies.lifecycle.kinds import APPLY_TRANSACTION, ApplyTransaction
from services.policies.lifecycle.rules.transaction import Transaction


def have_applied(
    session: Session, policy_id: UUID, transaction: Transaction, installments: int = 0, method_id: UUID | None = None
) -> None:
    """Defer the job that has a transaction billed and booked, behind those of the same policy.

    `installments` are those of the plan by which the term is paid that the transaction begins, `method_id` is what its
    first premium is collected with.
    """
    job = ApplyTransaction(policy_id, transaction.id, installments, method_id)
    defer(session, APPLY_TRANSACTION, job, lock=f"policy:{policy_id}")
