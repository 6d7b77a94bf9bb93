"""The kinds of jobs of policies, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from libs.jobs import JobKind, Nothing
from libs.jobs.nightly import Occurrence


@dataclass(frozen=True, slots=True)
class OpenBilling:
    """The arguments of `OPEN_BILLING`."""

    policy_id: UUID
    installments: int
    payment_method: str = ""
    """The token in jobs of the revision before, which brought it along; it is kept in a table now."""


@dataclass(frozen=True, slots=True)
class ApplyTransaction:
    """The arguments of `APPLY_TRANSACTION`."""

    policy_id: UUID
    transaction_id: UUID
    installments: int = 0
    """Of the plan by which the term is paid that the transaction begins."""
    method_id: UUID | None = None
    """The payment method that the payer keeps, with which its first premium is collected."""
    charge: str = ""
    """When what it adds within a term is billed; empty as usual."""
    credit: str = ""
    """What becomes of what it gives back; empty as usual."""
    refund_not_before: date | None = None
    arrears_seen: int | None = None
    """What was past due when it was decided, in minor units."""
    plan_code: str = ""
    """The installment plan of a next term; empty for the plan of the policy."""


@dataclass(frozen=True, slots=True)
class BindQuote:
    """The arguments of `BIND_QUOTE`."""

    policy_id: UUID
    transaction_id: UUID | None = None
    """The transaction that took the quote; None in jobs of the revision before, which meant the first one."""


# One after the other for a policy, by a lock that no other kind uses: a job that waits for its time would block them.
APPLY_TRANSACTION = JobKind("policies.apply_transaction", ApplyTransaction, "payments", priority=20, endless=True)
# Of programs of before: their policies are billed as they were.
OPEN_BILLING = JobKind("policies.open_billing", OpenBilling, "payments", endless=True)
BIND_QUOTE = JobKind("policies.bind_quote", BindQuote, "processing", endless=True)
OFFER_RENEWALS = JobKind("policies.offer_renewals", Occurrence, "processing", endless=True, daily="02:10")
RENEW_DUE = JobKind("policies.renew_due", Occurrence, "processing", endless=True, daily="02:40")
WRITE_TIMELINES = JobKind("policies.write_timelines", Nothing, "processing")
REAP_KEYS = JobKind("policies.reap_idempotency_keys", Nothing)
