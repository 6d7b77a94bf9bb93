"""Taking an offer: accepting a quote, and recording the policy that was issued from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.calendar import day_of
from libs.errors import Refused
from libs.money import Money
from services.quotes.quoting.rules.quote import Kind, PolicyAlreadyIssued, Quote, State, refuse
from services.quotes.rating.rules.pricing import StartDateInvalid, latest_start


class QuoteAlreadyAccepted(Refused):
    """The quote was accepted before."""

    reason = "QUOTE_ALREADY_ACCEPTED"


class QuoteReferred(Refused):
    """The quote waits for an underwriter's decision."""

    reason = "QUOTE_REFERRED"


class RiskDeclined(Refused):
    """The risk is declined."""

    reason = "RISK_DECLINED"


class QuotePriceChanged(Refused):
    """The quote would cost something else than the caller expects."""

    reason = "QUOTE_PRICE_CHANGED"


def check_acceptable(quote: Quote, now: datetime) -> None:
    """Raise the state that keeps a quote from being accepted."""
    state = quote.state(now)
    if state is State.ACCEPTED:
        raise QuoteAlreadyAccepted(state=state)
    if state is State.REFERRED:
        raise QuoteReferred(state=state)
    if state is State.DECLINED:
        raise RiskDeclined(rule=quote.reasons[0].rule_code, state=state)
    if state is not State.QUOTED:
        refuse(quote, now)


def check_price(before: Quote, after: Quote, expected: Money | None) -> None:
    """Refuse an offer that was dated anew at another total than the caller `expected`, or saw before."""
    actual = _total(after)
    expected = expected or _total(before)
    if actual != expected:
        raise QuotePriceChanged(expected=expected, actual=actual)


def accept(quote: Quote, now: datetime, latest_days: int = 60) -> Quote:
    """Take the offer, so that a policy can be issued from it. Raises the state that keeps it from being taken.

    `StartDateInvalid` when the first day of cover is over: nobody buys cover for days of which it is known what
    happened on them. `latest_days` is how far ahead the product lets cover begin.
    """
    check_acceptable(quote, now)
    if quote.kind is not Kind.NEW_BUSINESS:  # the policy says from which day a change or a term may be taken
        return _taken(quote, now)
    today = day_of(now, quote.time_zone)
    if quote.starts_on is None or quote.starts_on < today:
        raise StartDateInvalid(earliest=today, latest=latest_start(today, latest_days))
    return _taken(quote, now)


def unaccept(quote: Quote, now: datetime) -> Quote:
    """Take back that the offer was taken."""
    if quote.state(now) is not State.ACCEPTED:
        refuse(quote, now)
    return replace(quote, recorded_state=State.QUOTED, accepted_at=None, version=quote.version + 1)


def bind(quote: Quote, policy_id: UUID, transaction_id: UUID | None) -> Quote:
    """Record the policy that was issued from the quote, and by which transaction. Both again change nothing.

    It is told and not asked: that the quote was accepted and good was checked before the policy was issued, and the
    word of it may come late. `PolicyAlreadyIssued` when the quote was taken by another policy or transaction.
    """
    if quote.recorded_state is State.BOUND:
        other_transaction = (
            None not in (transaction_id, quote.transaction_id) and transaction_id != quote.transaction_id
        )
        if quote.policy_id != policy_id or other_transaction:
            raise PolicyAlreadyIssued
        return quote
    if quote.policy_id not in (None, policy_id):
        raise PolicyAlreadyIssued
    return replace(
        quote,
        recorded_state=State.BOUND,
        policy_id=policy_id,
        transaction_id=transaction_id,
        version=quote.version + 1,
    )


def _taken(quote: Quote, now: datetime) -> Quote:
    return replace(quote, recorded_state=State.ACCEPTED, accepted_at=now, version=quote.version + 1)


def _total(quote: Quote) -> Money:
    price = quote.price
    return Money(price.total if price else 0, quote.currency)
