"""Having payments told of what a transaction changes, in the caller's transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from libs.jobs import defer
from libs.money import Money
from services.policies.lifecycle.kinds import APPLY_TRANSACTION, ApplyTransaction
from services.policies.lifecycle.rules.settlement import AS_USUAL, ChargeTiming, CreditTiming, Settlement
from services.policies.lifecycle.rules.transaction import Transaction


def settlement_of(job: ApplyTransaction, currency: str) -> Settlement:
    """How the transaction of a job is settled."""
    return Settlement(
        ChargeTiming(job.charge or AS_USUAL.charge),
        CreditTiming(job.credit or AS_USUAL.credit),
        job.refund_not_before,
        None if job.arrears_seen is None else Money(job.arrears_seen, currency),
        job.plan_code,
    )


def have_applied(
    session: Session,
    policy_id: UUID,
    transaction: Transaction,
    installments: int = 0,
    method_id: UUID | None = None,
    *,
    settlement: Settlement = AS_USUAL,
) -> None:
    """Defer the job that has a transaction billed and booked, behind those of the same policy.

    `installments` are those of the plan by which the term is paid that the transaction begins, `method_id` is what its
    first premium is collected with.
    """
    job = ApplyTransaction(
        policy_id,
        transaction.id,
        installments,
        method_id,
        settlement.charge,
        settlement.credit,
        settlement.refund_not_before,
        settlement.arrears_seen.minor if settlement.arrears_seen else None,
        settlement.plan_code,
    )
    defer(session, APPLY_TRANSACTION, job, lock=f"policy:{policy_id}")
