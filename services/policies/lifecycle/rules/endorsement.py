"""Endorsements: changes of what a policy insures within its terms, from any day of them on, whenever they are issued.

A change is worked out twice from the same stack: when it is quoted, and when it is issued from the quote that was
accepted. What is issued is what was priced, read back from the quote: so nothing of a change is kept between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.errors import FieldInvalid, Invalid
from services.policies.lifecycle.rules import contract, timeline
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.effective import BackDating, EffectiveDateInvalid
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid
from services.policies.lifecycle.rules.prices import is_same, prices_missing
from services.policies.lifecycle.rules.quote import Priced, Quote, QuoteOutdated
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Risk, Term
from services.policies.lifecycle.rules.transaction import Delta, Price, Transaction, TransactionType

MOST_OBJECTS = 100
"""Objects that a policy insures at most, on any day."""
MOST_SEGMENTS = 60
"""Segments that a term has at most."""
CHANGEABLE = frozenset({State.SCHEDULED, State.IN_FORCE})
"""The states in which a policy is changed. One that is not paid is issued anew instead."""
_NOBODY = UUID(int=0)


class ChangeEmpty(Invalid):
    """The change makes no difference to the policy."""

    reason = "CHANGE_EMPTY"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a product version says of changes, and of how far back whoever asks may date them."""

    latest_days_before_end: int = 0
    """How many days before the last day of the term a change may still take effect."""
    backdating_days: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some days of a term that are to be priced, as a change leaves them."""

    term: Term
    starts_on: date
    ends_on: date
    risk: Risk
    is_changed: bool
    added: dict[str, date]
    """The days on which objects came to the term after it had begun, by their names: their ages are those of then."""
    quote_id: UUID
    """The quote by which these days were priced last."""


def check_day(policy: Policy, day: date, today: date, state: State, limits: Limits) -> None:
    """Refuse a day from which nothing can change.

    `PolicyStateInvalid` unless the policy is or will be in force, `EffectiveDateInvalid` for a day that is in no term,
    without cover, or too near to the end of its term, `BackDating` for one that is too long over.
    """
    if state not in CHANGEABLE:
        raise PolicyStateInvalid(state=state)
    term = next((each for each in policy.terms if each.starts_on <= day < each.ends_on), None)
    if term is None or term.segment_on(day) is None or day > _last_day(term, limits):
        near = term or min(policy.terms, key=lambda each: abs((each.starts_on - day).days))
        first = near.segments[0].starts_on if near.segments else near.starts_on
        earliest = max(first, today - timedelta(days=limits.backdating_days))
        raise EffectiveDateInvalid(earliest=earliest.isoformat(), latest=_last_day(near, limits).isoformat())
    days = (today - day).days
    if days > limits.backdating_days:
        raise BackDating(days=str(days), allowed=str(limits.backdating_days))


def timeline_sequence(stack: Sequence[Transaction]) -> int:
    """The position of the last transaction that wrote a timeline."""
    return max(item.sequence for item in stack if item.change is not None or item.reverses is not None)


def quoted_by(base: Contract, day: date) -> UUID:
    """The quote by which what is insured on a day was priced last, as the stack is folded."""
    quoted = [(item.effective_on, item.sequence, item.quote_id) for item in base.standing if item.quote_id]
    return max((each for each in quoted if each[0] <= day), default=(day, 0, base.policy.quote_id))[2]


def risk_on(stack: Sequence[Transaction], day: date, currency: str) -> Risk:
    """What is insured on a day of a term, if the term does not end before it."""
    terms = timeline.uncut(stack, currency)
    segment = next(segment for term in terms if (segment := term.segment_on(day)) is not None)
    return segment.risk


def stretches(base: Contract, effective_on: date, delta: Delta, now: datetime) -> list[Stretch]:
    """What is to be priced of a change: all days of the term that it falls into, and of the terms behind.

    `ChangeEmpty` where it makes no difference; `FieldInvalid` where a policy would insure more objects than it can, or
    a term have more segments.
    """
    before = {term.number: term for term in timeline.uncut(base.stack, base.currency)}
    stretches = [
        Stretch(
            term,
            segment.starts_on,
            segment.ends_on,
            segment.risk,
            not _is_as_before(before[term.number], segment.starts_on, segment.risk),
            _added_days(term),
            quoted_by(base, segment.starts_on),
        )
        for term in _after(base, effective_on, delta, now)
        for segment in term.segments
    ]
    if not any(stretch.is_changed for stretch in stretches):
        raise ChangeEmpty
    if any(len(stretch.risk.objects) > MOST_OBJECTS for stretch in stretches):
        raise FieldInvalid(violations={"objects.add": f"would make more than {MOST_OBJECTS} objects"})
    if any(len(stretch.term.segments) > MOST_SEGMENTS for stretch in stretches):
        raise FieldInvalid(violations={"effective_date": f"would make more than {MOST_SEGMENTS} segments of its term"})
    return stretches


def change_in(quote: Quote, base: Contract, now: datetime) -> Transaction:
    """The transaction that a quote asks for, with the prices that it brings; it has no lines yet.

    `QuoteOutdated` for a quote that was priced on another timeline than the newest.
    """
    newest = timeline_sequence(base.stack)
    if quote.timeline_sequence != newest:
        raise QuoteOutdated(timeline_sequence=str(newest))
    before = timeline.uncut(base.stack, base.currency)
    changed = next((each for each in quote.segments if not _is_in(before, each)), None)
    if changed is None:
        raise ChangeEmpty
    delta = difference(risk_on(base.stack, changed.starts_on, base.currency), changed.risk)
    for is_overriding in (False, True):
        asked = replace(delta, overrides=is_overriding)
        after = _after(base, changed.starts_on, asked, now)
        if _is_priced(after, quote.segments):
            drafted = _draft(base, changed.starts_on, asked, now)
            return replace(
                drafted, quote_id=quote.id, source_id=str(quote.id), prices=_prices(base, after, quote.segments)
            )
    raise QuoteOutdated(timeline_sequence=str(newest))


def difference(before: Risk, after: Risk) -> Delta:
    """What makes one risk out of another, field by field."""
    old, new = ({insured.id: insured for insured in risk.objects} for risk in (before, after))
    chosen, coverages = ({item.code: item for item in risk.coverages} for risk in (before, after))
    fields = {
        name: different
        for name, insured in new.items()
        if name in old
        and (
            different := {code: value for code, value in insured.fields.items() if old[name].fields.get(code) != value}
        )
    }
    return Delta(
        answers={code: value for code, value in after.answers.items() if before.answers.get(code) != value},
        objects=tuple(insured for name, insured in new.items() if name not in old),
        removed_objects=frozenset(old.keys() - new.keys()),
        coverages=tuple(item for code, item in coverages.items() if chosen.get(code) != item),
        removed_coverages=frozenset(chosen.keys() - coverages.keys()),
        fields=fields,
        identifiers={name: new[name].identifier for name in fields if new[name].identifier != old[name].identifier},
    )


def _draft(base: Contract, effective_on: date, delta: Delta, now: datetime) -> Transaction:
    return contract.draft(base, TransactionType.ENDORSEMENT, effective_on, now, delta, transaction_id=_NOBODY)


def _after(base: Contract, effective_on: date, delta: Delta, now: datetime) -> list[Term]:
    """The terms that a change of a day can reach, as it leaves them, if none of them ended before its time."""
    stack = (*base.stack, _draft(base, effective_on, delta, now))
    return [term for term in timeline.uncut(stack, base.currency) if effective_on < term.ends_on]


def _is_as_before(term: Term, day: date, risk: Risk) -> bool:
    segment = term.segment_on(day)
    return segment is not None and is_same(segment.risk, risk)


def _is_in(terms: Sequence[Term], priced: Priced) -> bool:
    """Whether what was priced is what these terms insure on its first day."""
    return any(_is_as_before(term, priced.starts_on, priced.risk) for term in terms)


def _is_priced(terms: Sequence[Term], priced: Sequence[Priced]) -> bool:
    """Whether each segment of these terms was priced as it is."""
    segments = [segment for term in terms for segment in term.segments]
    return len(segments) == len(priced) and all(
        (segment.starts_on, segment.ends_on) == (each.starts_on, each.ends_on) and is_same(segment.risk, each.risk)
        for segment, each in zip(segments, priced, strict=True)
    )


def _prices(base: Contract, after: Sequence[Term], priced: Sequence[Priced]) -> tuple[Price, ...]:
    """The prices of risks that the stack has none for. What it has a price for keeps that, whatever was quoted now."""
    by_day = {each.starts_on: each.full_term for each in priced}
    brought = [
        Price(term.number, segment.risk, by_day[segment.starts_on]) for term in after for segment in term.segments
    ]
    return prices_missing(base.stack, brought)


def _last_day(term: Term, limits: Limits) -> date:
    """The last day of a term on which a change can take effect: it has to be covered, and early enough."""
    covered = term.segments[-1].ends_on if term.segments else term.ends_on
    return min(covered - timedelta(days=1), term.ends_on - timedelta(days=1 + limits.latest_days_before_end))


def _added_days(term: Term) -> dict[str, date]:
    first: dict[str, date] = {}
    for segment in term.segments:
        for insured in segment.risk.objects:
            first.setdefault(insured.id, segment.starts_on)
    return {name: day for name, day in first.items() if day > term.starts_on}
