"""The rules of quotes: what one says, and how far it has come.

| from | command | to |
|---|---|---|
| - | create as a draft | draft |
| -, draft | create, price | quoted, referred or declined, as the underwriting rules say |
| draft | update | draft |
| quoted, referred | update | quoted, referred or declined |
| referred | an underwriter approves | quoted |
| referred | an underwriter declines | declined |
| referred | information is asked for, and given | referred |
| quoted | accept | accepted; the other quotes of its group are withdrawn |
| accepted | unaccept | quoted |
| draft, quoted, referred, accepted | withdraw | withdrawn |
| any but bound | bind | bound |
| draft, quoted, referred, accepted | its validity ends | expired |
| declined, expired, withdrawn | clone | a new draft |

Everything else is refused. That a validity has ended is derived when a quote is read; a sweep writes it down later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NoReturn
from uuid import UUID

from libs.errors import AlreadyExists, Refused
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.product import Answer
from services.quotes.quoting.rules.approval import NOTHING_APPROVED, Approval
from services.quotes.quoting.rules.underwriting import Outcome, Reason
from services.quotes.rating.rules.price import Price


class QuoteExpired(Refused):
    """The quote's validity ended."""

    reason = "QUOTE_EXPIRED"


class QuoteStateInvalid(Refused):
    """The quote is in a state that does not allow the operation."""

    reason = "QUOTE_STATE_INVALID"


class PolicyAlreadyIssued(AlreadyExists):
    """A policy was issued from this quote before."""

    reason = "POLICY_ALREADY_ISSUED"


class PartnerProduct(Refused):
    """The partner may not sell the product."""

    reason = "PARTNER_PRODUCT"


class State(StrEnum):
    """How far a quote has come."""

    DRAFT = "draft"
    QUOTED = "quoted"
    REFERRED = "referred"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    BOUND = "bound"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Kind(StrEnum):
    """What a quote is made for."""

    NEW_BUSINESS = "new_business"
    ENDORSEMENT = "endorsement"
    RENEWAL = "renewal"


# The states that end with the validity of the quote, and from which it can be withdrawn.
OPEN = frozenset({State.DRAFT, State.QUOTED, State.REFERRED, State.ACCEPTED})

DECIDED = {Outcome.APPROVED: State.QUOTED, Outcome.REFERRED: State.REFERRED, Outcome.DECLINED: State.DECLINED}
"""The state that a quote has once the underwriting rules have decided on it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the term of a policy, as a quote for it prices it: with what the whole term would cost like this."""

    starts_on: date
    ends_on: date
    answers: Mapping[str, Answer]
    coverages: tuple[Coverage, ...]
    objects: tuple[InsuredObject, ...]
    is_changed: bool
    """Whether the underwriting rules decide on it."""
    price: Price


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that was offered, or a draft of one. What it asks and offers changes with its revision only."""

    id: UUID
    number: str
    user_id: UUID
    """The party that it belongs to."""
    created_by: UUID
    """The log-in that asked for it."""
    group_id: UUID
    """The id of the first quote of the group of which one at most is taken; its own where it was the first."""
    product_code: str
    product_version: int
    time_zone: str
    currency: str
    recorded_state: State
    """The state that was written last; `state` knows whether the validity ended since."""
    starts_on: date | None
    """Also None in a draft that begins on the day on which it is priced, whichever that is."""
    ends_on: date | None
    answers: Mapping[str, Answer]
    coverages: tuple[Coverage, ...]
    objects: tuple[InsuredObject, ...]
    price: Price | None
    """None as long as it was never priced."""
    reasons: tuple[Reason, ...]
    plans: Mapping[str, int]
    """Installments of each plan that the product offers, by its code."""
    valid_until: datetime
    created_at: datetime
    accepted_at: datetime | None = None
    policy_id: UUID | None = None
    transaction_id: UUID | None = None
    """The transaction of the policy that took it; None also of a program that did not tell it."""
    partner_id: UUID | None = None
    """The partner through whom it came."""
    kind: Kind = Kind.NEW_BUSINESS
    timeline_sequence: int = 0
    """Of a quote for a policy: the transaction whose timeline was priced."""
    segments: tuple[Segment, ...] = ()
    """Of a quote for a policy: what was priced, in the order of the days. Lists leave them out."""
    withdraw_reason: str = ""
    approval: Approval = NOTHING_APPROVED
    """What an underwriter approved of it."""
    revised_by: UUID | None = None
    """The log-in that changed last what it asks."""
    question: str = ""
    """What an underwriter asks the customer; empty when nothing is asked."""
    answer_due_at: datetime | None = None
    revision: int = 1
    """How often what it asks or offers was fixed."""
    version: int = 1

    def state(self, now: datetime) -> State:
        """How far the quote has come at a moment."""
        if self.recorded_state in OPEN and now > self.valid_until:
            return State.EXPIRED
        return self.recorded_state

    @property
    def offered_price(self) -> Price | None:
        """The price that anybody is shown: none of a risk that is declined."""
        return None if self.recorded_state is State.DECLINED else self.price

    @property
    def open_reasons(self) -> tuple[Reason, ...]:
        """The reasons that an underwriter has yet to decide on."""
        return self.approval.open_reasons(self.reasons)

    @property
    def is_indicative(self) -> bool:
        """Whether an underwriter has to decide before the price is an offer."""
        return self.offered_price is not None and bool(self.open_reasons)


def number_for(year: int, sequence: int) -> str:
    """The number that people read: `Q-2026-000042`. Numbers rise, and may have gaps."""
    return f"Q-{year}-{sequence:06d}"


def refuse(quote: Quote, now: datetime) -> NoReturn:
    """Raise the state that a quote is in, where a command does not take it: `QuoteExpired`, `QuoteStateInvalid`."""
    state = quote.state(now)
    if state is State.EXPIRED:
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat(), state=state)
    raise QuoteStateInvalid(state=state)
