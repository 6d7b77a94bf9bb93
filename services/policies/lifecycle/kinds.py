"""The kinds of jobs of policies, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.jobs import JobKind, Nothing


@dataclass(frozen=True, slots=True)
class OpenBilling:
    """The arguments of `OPEN_BILLING`."""

    policy_id: UUID
    installments: int
    payment_method: str = ""
    """The token in jobs of the revision before, which brought it along; it is kept in a table now."""


@dataclass(frozen=True, slots=True)
class BindQuote:
    """The arguments of `BIND_QUOTE`."""

    policy_id: UUID


OPEN_BILLING = JobKind("policies.open_billing", OpenBilling, "payments", endless=True)
BIND_QUOTE = JobKind("policies.bind_quote", BindQuote, "processing", endless=True)
WRITE_TIMELINES = JobKind("policies.write_timelines", Nothing, "processing")
REAP_KEYS = JobKind("policies.reap_idempotency_keys", Nothing)
