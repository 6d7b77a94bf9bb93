"""The rules of policies: issuing one from a quote, putting it in force, and how it stands on a day.

A policy is an immutable stack of transactions over terms and segments. Days are half-open, [start, end), in the
product's time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.calendar import day_of
from libs.errors import AlreadyExists, Invalid, Refused
from libs.money import Money
from libs.premium import Coverage, Premium


class QuoteNotAccepted(Refused):
    """The quote is not accepted, so that no policy can be issued from it."""

    reason = "QUOTE_NOT_ACCEPTED"


class QuoteExpired(Refused):
    """The quote's validity ended."""

    reason = "QUOTE_EXPIRED"


class PolicyAlreadyIssued(AlreadyExists):
    """A policy was issued from this quote before."""

    reason = "POLICY_ALREADY_ISSUED"


class PolicyStateInvalid(Refused):
    """The policy is in a state that does not allow the operation."""

    reason = "POLICY_STATE_INVALID"


class InstallmentPlanInvalid(Invalid):
    """The product does not offer the installment plan."""

    reason = "INSTALLMENT_PLAN_INVALID"


class State(StrEnum):
    """How a policy stands; always derived, never stored."""

    PENDING = "pending"
    IN_FORCE = "in_force"
    NOT_TAKEN = "not_taken"
    EXPIRED = "expired"


class TransactionType(StrEnum):
    """What a transaction does."""

    NEW_BUSINESS = "new_business"
    ACTIVATION = "activation"


@dataclass(frozen=True, slots=True)
class Quote:
    """What this service needs to know of a quote."""

    id: UUID
    user_id: UUID
    product_code: str
    product_version: int
    time_zone: str
    state: str
    valid_until: datetime
    starts_on: date
    ends_on: date
    premium: Premium
    coverages: tuple[Coverage, ...]
    plans: dict[str, int]
    """Installments of each plan, by its code."""
    policy_id: str = ""
    """The policy that was issued from it, as callers see it; empty before."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One issued change of a contract."""

    id: UUID
    sequence: int
    type: TransactionType
    effective_on: date
    issued_at: datetime
    premium_change: Money
    source_id: str = ""
    """What caused it: the quote, or the payment."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a term within which nothing changes."""

    number: int
    starts_on: date
    ends_on: date
    coverages: tuple[Coverage, ...]
    premium: Premium


@dataclass(frozen=True, slots=True)
class Term:
    """A period for which the contract was agreed."""

    number: int
    starts_on: date
    ends_on: date
    segments: tuple[Segment, ...]

    @property
    def premium(self) -> Premium:
        """What the whole term costs."""
        first, *others = (segment.premium for segment in self.segments)
        for other in others:
            first += other
        return first


@dataclass(frozen=True, slots=True)
class Policy:
    """A contract of insurance."""

    id: UUID
    number: str
    user_id: UUID
    quote_id: UUID
    product_code: str
    product_version: int
    plan_code: str
    time_zone: str
    term: Term
    issued_at: datetime
    activated_at: datetime | None = None
    version: int = 1

    def state(self, now: datetime) -> State:
        """How the policy stands at a moment."""
        today = day_of(now, self.time_zone)
        if self.activated_at is None:
            # Payments takes the first premium until the end of this day, and no longer.
            return State.PENDING if today <= self.term.starts_on else State.NOT_TAKEN
        return State.EXPIRED if today >= self.term.ends_on else State.IN_FORCE


DEFAULT_PLAN = "annual"


def prefix_of(product_code: str) -> str:
    """What the numbers of a product's policies begin with. Products that begin alike count together."""
    return product_code[:3].upper()


def number_for(product_code: str, year: int, sequence: int) -> str:
    """The number that people read: `MOT-2026-000042`."""
    return f"{prefix_of(product_code)}-{year}-{sequence:06d}"


def check_issuable(quote: Quote, plan_code: str, now: datetime) -> None:
    """Raise the state that keeps a policy from being issued from the quote, if there is one."""
    if quote.policy_id:
        raise PolicyAlreadyIssued(policy_id=quote.policy_id)
    if now > quote.valid_until or quote.state == "expired":
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat())
    if quote.state != "accepted":
        raise QuoteNotAccepted(state=quote.state)
    if plan_code not in quote.plans:
        raise InstallmentPlanInvalid(plan=plan_code)


def issue(
    quote: Quote, plan_code: str, now: datetime, *, policy_id: UUID, transaction_id: UUID, number: str
) -> tuple[Policy, Transaction]:
    """Make a contract of an accepted quote: the new-business transaction with its first term and segment."""
    check_issuable(quote, plan_code, now)
    segment = Segment(1, quote.starts_on, quote.ends_on, quote.coverages, quote.premium)
    policy = Policy(
        id=policy_id,
        number=number,
        user_id=quote.user_id,
        quote_id=quote.id,
        product_code=quote.product_code,
        product_version=quote.product_version,
        plan_code=plan_code,
        time_zone=quote.time_zone,
        term=Term(1, quote.starts_on, quote.ends_on, (segment,)),
        issued_at=now,
    )
    transaction = Transaction(
        transaction_id,
        1,
        TransactionType.NEW_BUSINESS,
        quote.starts_on,
        now,
        quote.premium.net,
        str(quote.id),
    )
    return policy, transaction


def activate(
    policy: Policy, sequence: int, payment: str, paid_at: datetime, *, transaction_id: UUID
) -> tuple[Policy, Transaction]:
    """Put a policy in force because its first premium is paid. `PolicyStateInvalid` when another payment did before.

    Whether it was paid in time is decided by payments, before any money moves: here it would be too late to refuse.
    """
    if policy.activated_at is not None:
        raise PolicyStateInvalid(state=State.IN_FORCE)
    nothing = Money.zero(policy.term.premium.net.currency)
    transaction = Transaction(
        transaction_id, sequence, TransactionType.ACTIVATION, policy.term.starts_on, paid_at, nothing, payment
    )
    return replace(policy, activated_at=paid_at, version=policy.version + 1), transaction
