"""The rules of quotes: how far one has come, and what may become of it.

| from | command | to |
|---|---|---|
| - | create | quoted, referred or declined, as the underwriting rules say |
| quoted | accept | accepted |
| accepted | bind | bound |
| quoted, referred, accepted | its validity ends | expired |

Everything else is refused. That a validity has ended is derived when a quote is read; a sweep writes it down later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.calendar import start_of
from libs.errors import AlreadyExists, Refused
from libs.premium import Coverage
from services.quotes.catalogue.rules.product import Answer
from services.quotes.quoting.rules.calculation import Calculation
from services.quotes.quoting.rules.underwriting import Outcome, Reason
from services.quotes.rating.rules.pricing import PricedRisk
from services.quotes.rating.rules.rating import Price


class QuoteExpired(Refused):
    """The quote's validity ended."""

    reason = "QUOTE_EXPIRED"


class QuoteAlreadyAccepted(Refused):
    """The quote was accepted before."""

    reason = "QUOTE_ALREADY_ACCEPTED"


class QuoteReferred(Refused):
    """The quote waits for an underwriter's decision."""

    reason = "QUOTE_REFERRED"


class RiskDeclined(Refused):
    """The risk is declined by the product's underwriting rules."""

    reason = "RISK_DECLINED"


class QuoteStateInvalid(Refused):
    """The quote is in a state that does not allow the operation."""

    reason = "QUOTE_STATE_INVALID"


class PolicyAlreadyIssued(AlreadyExists):
    """A policy was issued from this quote before."""

    reason = "POLICY_ALREADY_ISSUED"


class State(StrEnum):
    """How far a quote has come."""

    QUOTED = "quoted"
    REFERRED = "referred"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    BOUND = "bound"
    EXPIRED = "expired"


# The states that end with the validity of the quote.
EXPIRABLE = frozenset({State.QUOTED, State.REFERRED, State.ACCEPTED})

_FIRST = {Outcome.APPROVED: State.QUOTED, Outcome.REFERRED: State.REFERRED, Outcome.DECLINED: State.DECLINED}


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that was offered. Only its state, and what goes with it, ever changes."""

    id: UUID
    number: str
    user_id: UUID
    product_code: str
    product_version: int
    time_zone: str
    recorded_state: State
    """The state that was written last; `state` knows whether the validity ended since."""
    starts_on: date
    ends_on: date
    answers: Mapping[str, Answer]
    coverages: tuple[Coverage, ...]
    price: Price
    reasons: tuple[Reason, ...]
    plans: Mapping[str, int]
    """Installments of each plan that the product offers, by its code."""
    valid_until: datetime
    created_at: datetime
    accepted_at: datetime | None = None
    policy_id: UUID | None = None
    transaction_id: UUID | None = None
    """The transaction of the policy that took it; None also of a program that did not tell it."""
    version: int = 1

    def state(self, now: datetime) -> State:
        """How far the quote has come at a moment."""
        if self.recorded_state in EXPIRABLE and now > self.valid_until:
            return State.EXPIRED
        return self.recorded_state


def number_for(year: int, sequence: int) -> str:
    """The number that people read: `Q-2026-000042`. Numbers rise, and may have gaps."""
    return f"Q-{year}-{sequence:06d}"


def create(calculation: Calculation, now: datetime, *, quote_id: UUID, user_id: UUID, number: str) -> Quote:
    """Offer a calculated price, in the state that the underwriting rules led to."""
    risk, product = calculation.risk, calculation.risk.product
    return Quote(
        id=quote_id,
        number=number,
        user_id=user_id,
        product_code=product.code,
        product_version=product.version,
        time_zone=product.time_zone,
        recorded_state=_FIRST[calculation.decision.outcome],
        starts_on=risk.starts_on,
        ends_on=risk.ends_on,
        answers=risk.answers,
        coverages=risk.coverages,
        price=risk.price,
        reasons=calculation.decision.reasons,
        plans={plan.code: plan.installments for plan in product.plans},
        valid_until=_valid_until(risk, now),
        created_at=now,
    )


def accept(quote: Quote, now: datetime) -> Quote:
    """Take the offer, so that a policy can be issued from it. Raises the state that keeps it from being taken."""
    state = quote.state(now)
    if state is State.EXPIRED:
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat())
    if state is State.ACCEPTED:
        raise QuoteAlreadyAccepted
    if state is State.REFERRED:
        raise QuoteReferred
    if state is State.DECLINED:
        raise RiskDeclined(rule=quote.reasons[0].rule_code)
    if state is not State.QUOTED:
        raise QuoteStateInvalid(state=state)
    return replace(quote, recorded_state=State.ACCEPTED, accepted_at=now, version=quote.version + 1)


def bind(quote: Quote, policy_id: UUID, transaction_id: UUID | None, issued_at: datetime) -> Quote:
    """Record the policy that was issued from the quote, and by which transaction. Both again change nothing.

    The moment of issue decides whether the quote was still good, not the moment at which this is told: the word
    may come late, when a sweep has marked the accepted quote as expired already.
    """
    if quote.policy_id is not None:
        other_transaction = (
            None not in (transaction_id, quote.transaction_id) and transaction_id != quote.transaction_id
        )
        if quote.policy_id != policy_id or other_transaction:
            raise PolicyAlreadyIssued
        return quote
    if quote.accepted_at is None:
        raise QuoteStateInvalid(state=quote.state(issued_at))
    if issued_at > quote.valid_until:
        raise QuoteStateInvalid(state=State.EXPIRED)
    return replace(
        quote,
        recorded_state=State.BOUND,
        policy_id=policy_id,
        transaction_id=transaction_id,
        version=quote.version + 1,
    )


def _valid_until(risk: PricedRisk, now: datetime) -> datetime:
    """The end of the days that the product says, and never behind the first day of cover.

    Otherwise cover could be bought for days that are over, by those who know what happened on them.
    """
    product = risk.product
    day_after_start = risk.starts_on + timedelta(days=1)
    end_of_start = start_of(day_after_start, product.time_zone) - timedelta(microseconds=1)
    return min(now + timedelta(days=product.validity_days), end_of_start.astimezone(now.tzinfo))
