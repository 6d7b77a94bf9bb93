"""What policies needs to know of a quote, and when a policy can be issued from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from libs.calendar import day_of, months_after
from libs.errors import AlreadyExists, Invalid, Refused
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, Premium
from services.policies.lifecycle.rules.term import Item, Risk

NEW_BUSINESS, ENDORSEMENT, RENEWAL = "new_business", "endorsement", "renewal"


class QuoteNotAccepted(Refused):
    """The quote is not accepted, so that no policy can be issued from it."""

    reason = "QUOTE_NOT_ACCEPTED"


class QuoteExpired(Refused):
    """The quote's validity ended."""

    reason = "QUOTE_EXPIRED"


class QuoteStateInvalid(Refused):
    """The quote is for a change of a policy, or for its renewal, and not for a new one."""

    reason = "QUOTE_STATE_INVALID"


class StartDateInvalid(Invalid):
    """The first day of cover is over: nobody buys cover for days of which it is known what happened on them."""

    reason = "START_DATE_INVALID"


class PolicyAlreadyIssued(AlreadyExists):
    """A policy was issued from this quote before."""

    reason = "POLICY_ALREADY_ISSUED"


class InstallmentPlanInvalid(Invalid):
    """The product does not offer the installment plan."""

    reason = "INSTALLMENT_PLAN_INVALID"


class PlanUnaffordable(Refused):
    """The installment plan does not fit the price or the term: an installment would be nothing, or come too late."""

    reason = "PLAN_UNAFFORDABLE"


class QuoteOutdated(Refused):
    """The policy has changed since the quote for it was priced."""

    reason = "QUOTE_OUTDATED"


@dataclass(frozen=True, slots=True)
class Priced:
    """Some days of a term of a policy, as a quote for it prices them."""

    starts_on: date
    ends_on: date
    risk: Risk
    full_term: Mapping[Item, Money]
    """What the whole term would cost on this risk."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A price for a risk, as quotes tells it."""

    id: UUID
    user_id: UUID
    """The party that the policy would belong to; a user's own party has the user's UUID."""
    created_by: UUID
    """The log-in that asked for it."""
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
    partner_id: UUID | None = None
    kind: str = NEW_BUSINESS
    answers: Mapping[str, object] = field(default_factory=dict)
    objects: tuple[InsuredObject, ...] = ()
    lines: tuple[ChargeLine, ...] = ()
    """What the premium is made of."""
    timeline_sequence: int = 0
    """Of a quote for a policy: the transaction whose timeline was priced."""
    segments: tuple[Priced, ...] = ()
    """Of a quote for a policy: what was priced, in the order of the days."""


def check_issuable(quote: Quote, plan_code: str, now: datetime) -> None:
    """Raise the state that keeps a policy from being issued from the quote, if there is one."""
    if quote.kind != NEW_BUSINESS:
        raise QuoteStateInvalid(state=quote.state, kind=quote.kind)
    if quote.policy_id:
        raise PolicyAlreadyIssued(policy_id=quote.policy_id)
    if now > quote.valid_until or quote.state == "expired":
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat(), state="expired")
    if quote.state != "accepted":
        raise QuoteNotAccepted(state=quote.state)
    today = day_of(now, quote.time_zone)
    if quote.starts_on < today:
        raise StartDateInvalid(earliest=today.isoformat())
    if plan_code not in quote.plans:
        raise InstallmentPlanInvalid(plan=plan_code)
    installments = quote.plans[plan_code]
    if not fits(quote, installments):
        raise PlanUnaffordable(plan=plan_code, installments=str(installments))


def check_endorsable(quote: Quote, policy_id: str, now: datetime) -> None:
    """Raise the state that keeps a policy from being changed by the quote, if there is one."""
    if quote.kind != ENDORSEMENT or quote.policy_id != policy_id:
        raise QuoteStateInvalid(state=quote.kind)
    if quote.state == "bound":
        raise PolicyAlreadyIssued(policy_id=policy_id)
    if now > quote.valid_until or quote.state == "expired":
        raise QuoteExpired(valid_until_time=quote.valid_until.isoformat(), state="expired")
    if quote.state != "accepted":
        raise QuoteNotAccepted(state=quote.state)


def fits(quote: Quote, installments: int) -> bool:
    """Whether each installment is an amount, and the last falls due while there is cover. They divide the year."""
    last_due_on = months_after(quote.starts_on, 12 // installments * (installments - 1))
    spread = quote.premium.net + quote.premium.tax
    return installments == 1 or (spread.minor >= installments and last_due_on < quote.ends_on)
