"""The kinds of jobs of billing, and their arguments.

`COLLECT`, `CONFIRM_CREDIT` and `RELEASE_REFUND` are handled by collection, which stands above.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.jobs import JobKind, Nothing
from libs.jobs.nightly import Occurrence


@dataclass(frozen=True, slots=True)
class Collect:
    """The arguments of `COLLECT`."""

    invoice_id: UUID
    attempt: str = "due"
    """Which try this is: `due` when it falls due, and a name of its own for each later one. A try whose payment the
    provider declined is not repeated."""


@dataclass(frozen=True, slots=True)
class ReleaseRefund:
    """The arguments of `RELEASE_REFUND`."""

    refund_id: UUID


@dataclass(frozen=True, slots=True)
class RefundCredit:
    """The arguments of `REFUND_CREDIT`."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class TellDelinquency:
    """The arguments of `TELL_DELINQUENCY`: which step of which delinquency."""

    delinquency_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class LapsePolicy:
    """The arguments of `LAPSE_POLICY`."""

    delinquency_id: UUID


@dataclass(frozen=True, slots=True)
class ConfirmCredit:
    """The arguments of `CONFIRM_CREDIT`."""

    invoice_id: UUID


COLLECT = JobKind("payments.collect", Collect, "payments", endless=True)
RELEASE_REFUND = JobKind("payments.release_refund", ReleaseRefund, "payments", endless=True)
CONFIRM_CREDIT = JobKind("payments.confirm_credit", ConfirmCredit, "payments", endless=True)
REFUND_CREDIT = JobKind("payments.refund_credit", RefundCredit, "payments")
ISSUE_DUE_INVOICES = JobKind("payments.issue_due_invoices", Nothing, "payments", daily="03:23")
LEARN_PRODUCT_TERMS = JobKind("payments.learn_product_terms", Nothing, "payments", daily="03:31")
RUN_DUNNING = JobKind("payments.run_dunning", Occurrence, "payments", endless=True, daily="03:43")
# A night leaves thousands of them, and nobody waits for one: behind what is bought and paid meanwhile. Both alike, as
# they follow each other by a lock.
TELL_DELINQUENCY = JobKind("payments.tell_delinquency", TellDelinquency, "payments", priority=-10, endless=True)
LAPSE_POLICY = JobKind("payments.lapse_policy", LapsePolicy, "payments", priority=-10, endless=True)
REAP_KEYS = JobKind("payments.reap_idempotency_keys", Nothing)
RECONCILE = JobKind("payments.reconcile_services", Occurrence, "processing", endless=True, daily="04:30")
