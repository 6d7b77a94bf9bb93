"""How a policy stands at a moment: derived from its timeline, its payment and the clock, and never stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

from libs.calendar import day_of
from services.policies.lifecycle.rules.term import EndKind, Term


class State(StrEnum):
    """The one state of a policy."""

    PENDING = "pending"  # the first premium is not paid, and there is time for it
    NOT_TAKEN = "not_taken"  # that time is over
    SCHEDULED = "scheduled"  # cover begins later
    IN_FORCE = "in_force"
    GAP = "gap"  # cover was interrupted, and goes on later
    LAPSED = "lapsed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Flag(StrEnum):
    """What is known of a policy beside its state."""

    CANCEL_PENDING = "cancel_pending"  # cancelled from a day that is still to come
    DELINQUENT = "delinquent"  # a premium is past due
    RENEWAL_OFFERED = "renewal_offered"
    RENEWED = "renewed"
    DO_NOT_RENEW = "do_not_renew"
    OPEN_CLAIM = "open_claim"
    HOLD = "hold"  # lapse, dunning and the end of renewal are suspended


def is_cancel_pending(today: date, terms: Sequence[Term]) -> bool:
    """Whether cover of these terms ends by a cancellation on a day that is still to come."""
    return any(
        term.ended is not None and term.ended.kind is EndKind.CANCELLED and today < term.ended.on for term in terms
    ) and bool(terms[0].segments)


def state_at(now: datetime, terms: Sequence[Term], time_zone: str, payable_on: date) -> State:
    """How a policy with these terms stands. `payable_on` is the last day on which its first premium can be paid."""
    today = day_of(now, time_zone)
    first, *later = terms
    # A next term that was not taken never was.
    terms = [first, *(term for term in later if term.ended is None or term.ended.kind is not EndKind.NOT_TAKEN)]
    ended = next((term.ended for term in terms if term.ended is not None), None)
    if ended is not None and (today >= ended.on or not first.segments):
        return State(ended.kind.value)
    if first.cover_starts_at is None:
        return State.PENDING if today <= payable_on else State.NOT_TAKEN
    paid = [term for term in terms if term.cover_starts_at is not None and term.segments]
    if is_covered(now, today, paid):
        return State.IN_FORCE
    if today >= paid[-1].segments[-1].ends_on:
        return State.EXPIRED
    is_before = now < first.cover_starts_at or today < first.segments[0].starts_on
    return State.SCHEDULED if is_before else State.GAP


def is_covered(now: datetime, today: date, terms: Sequence[Term]) -> bool:
    """Whether a moment, which is on the day `today` in the product's time zone, is within cover that has begun."""
    return any(
        term.cover_starts_at is not None and term.cover_starts_at <= now and term.segment_on(today) is not None
        for term in terms
    )
