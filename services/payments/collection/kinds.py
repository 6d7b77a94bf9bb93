"""The kinds of jobs of collection, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.jobs import JobKind, Nothing


@dataclass(frozen=True, slots=True)
class Settle:
    """The arguments of `SETTLE`."""

    payment_id: UUID
    attempt: int
    """How often the provider was asked before: 0 for the first time."""


@dataclass(frozen=True, slots=True)
class SettleRefund:
    """The arguments of `SETTLE_REFUND`."""

    part_id: UUID
    attempt: int
    """How often the provider was asked before: 0 for the first time."""


@dataclass(frozen=True, slots=True)
class ConfirmPremium:
    """The arguments of `CONFIRM_PREMIUM`."""

    payment_id: UUID


SETTLE = JobKind("payments.settle", Settle, "payments", endless=True)
SETTLE_REFUND = JobKind("payments.settle_refund", SettleRefund, "payments", endless=True)
CONFIRM_PREMIUM = JobKind("payments.confirm_premium", ConfirmPremium, "payments", endless=True)
CLOSE_UNPAID_POLICIES = JobKind("payments.close_unpaid_policies", Nothing, "payments", daily="03:37")
