"""The timeline of a policy: the terms and segments that its stack of transactions comes to.

Two things are folded, each by itself. What is insured: the changes of a term are laid over each other in the order of
their effective days, and of their issue within a day, whenever they were issued. And which days are covered: endings
and reopenings count in the order of their issue, because each is decided on the cover that stands then. The timeline
is what is insured on the days that are covered, so that the order of issue of two changes leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from libs.money import Money
from services.policies.lifecycle.rules.returns import Method, Return, retained
from services.policies.lifecycle.rules.term import Ended, Item, Risk, Segment, Term
from services.policies.lifecycle.rules.transaction import (
    CoverStart,
    Delta,
    Ending,
    Opening,
    Reopening,
    Transaction,
)

Rate = Callable[[Opening, Risk], Mapping[Item, Money]]
"""What the whole of a term would cost on a risk: the product's rating, or its answers by segment."""
Days = tuple[date, date]
"""From the first to the last of these, half-open."""


@dataclass(frozen=True, slots=True)
class TermFold:
    """A term as a stack comes to it: its timeline, and what the way of its ending does to its money."""

    term: Term
    retention: Mapping[Item, Money]
    """What is kept of an ended term beyond what was earned."""
    changes: int = 0
    """How often what is insured was changed within the term: a fee for a change is charged so often."""


def fold(stack: Sequence[Transaction], rate: Rate, currency: str) -> list[TermFold]:
    """The terms of a policy, in order, of its whole stack in order of issue."""
    standing = counting(stack)
    return [
        _fold_term(transaction, transaction.change, _carried(transaction, standing), standing, rate, currency)
        for transaction in standing
        if isinstance(transaction.change, Opening)
    ]


def uncut(stack: Sequence[Transaction], currency: str) -> list[Term]:
    """The terms of a stack without prices, as they would be if none of them ended before its time."""
    standing = counting(stack)
    return [
        Term(
            opening.term_number,
            opening.starts_on,
            opening.ends_on,
            currency,
            opening.product_version,
            _segments(opening, _carried(transaction, standing), _unpriced),
        )
        for transaction in standing
        if isinstance(opening := transaction.change, Opening)
    ]


def counting(stack: Sequence[Transaction]) -> list[Transaction]:
    """The transactions that no other one takes back, in order of issue."""
    reversed_ids = set[UUID]()
    for transaction in reversed(stack):
        if transaction.reverses is not None and transaction.id not in reversed_ids:
            reversed_ids.add(transaction.reverses)
    return [transaction for transaction in stack if transaction.id not in reversed_ids]


def _fold_term(
    opened: Transaction,
    opening: Opening,
    deltas: Sequence[Transaction],
    standing: Sequence[Transaction],
    rate: Rate,
    currency: str,
) -> TermFold:
    whole = Term(
        opening.term_number,
        opening.starts_on,
        opening.ends_on,
        currency,
        opening.product_version,
        _segments(opening, deltas, rate),
        _cover_start(opening, standing),
    )
    first_day = opening.covered_from or opening.starts_on
    covered: tuple[Days, ...] = ((first_day, opening.ends_on),)
    ended: tuple[Ended, Return, tuple[Days, ...]] | None = None  # and the days that were covered before
    # What was decided before there was the term is not about it.
    for transaction in (item for item in standing if item.sequence > opened.sequence):
        day = transaction.effective_on
        match transaction.change:
            case Ending(kind, how) if day < opening.ends_on and (ended is None or day < ended[0].on):
                before = ended[2] if ended else covered
                ended = (Ended(kind, day), how, before)
                is_flat = how.method is Method.FLAT or day <= opening.starts_on
                covered = () if is_flat else _until(before, day)
            case Reopening() if ended is not None and day < opening.ends_on:
                covered, ended = _joined(covered, (max(day, first_day), opening.ends_on)), None
            case _:
                pass
    changes = sum(opening.starts_on <= change.effective_on < opening.ends_on for change in deltas)
    if ended is None:
        return TermFold(_within(whole, covered), {}, changes)
    last, how, before = ended
    retention = retained(_within(whole, before), last.on, how) if covered else {}
    return TermFold(replace(_within(whole, covered), ended=last), retention, changes)


def _carried(opened: Transaction, standing: Sequence[Transaction]) -> list[Transaction]:
    """The changes that count in the term that a transaction opened, in the order in which they are laid over it.

    Those of earlier days are in what it was opened with, unless they were issued later than it was.
    """
    changes = [
        transaction
        for transaction in standing
        if isinstance(transaction.change, Delta) and transaction.sequence > opened.sequence
    ]
    return sorted(changes, key=lambda item: (item.effective_on, item.sequence))


def _segments(opening: Opening, deltas: Sequence[Transaction], rate: Rate) -> tuple[Segment, ...]:
    """The segments of a whole term: one from each day on which something is different."""
    risk = opening.risk
    risks = {opening.starts_on: risk}
    for transaction in deltas:
        day = max(transaction.effective_on, opening.starts_on)
        if isinstance(transaction.change, Delta) and day < opening.ends_on:
            change = _left_of(transaction, transaction.change, deltas)
            risk = (change.known_to(risk) if transaction.effective_on < day else change).applied_to(risk)
            risks[day] = risk
    ends = [*list(risks)[1:], opening.ends_on]
    return tuple(
        Segment(day, end, each, rate(opening, each)) for (day, each), end in zip(risks.items(), ends, strict=True)
    )


def _unpriced(_opening: Opening, _risk: Risk) -> Mapping[Item, Money]:
    return {}


def _left_of(transaction: Transaction, change: Delta, deltas: Sequence[Transaction]) -> Delta:
    """What a change still says beside those that were issued after it for earlier days, and are to hold behind it."""
    for other in deltas:
        is_later = other.sequence > transaction.sequence and other.effective_on < transaction.effective_on
        if is_later and isinstance(other.change, Delta) and other.change.overrides:
            change = change.without(other.change)
    return change


def _cover_start(opening: Opening, standing: Sequence[Transaction]) -> datetime | None:
    starts = (transaction.change for transaction in standing if isinstance(transaction.change, CoverStart))
    paid = next((start.starts_at for start in starts if start.term_number == opening.term_number), None)
    return paid or opening.cover_starts_at


def _within(term: Term, covered: Sequence[Days]) -> Term:
    """The term with the parts of its segments that are covered."""
    parts = (
        replace(segment, starts_on=max(start, segment.starts_on), ends_on=min(end, segment.ends_on))
        for start, end in covered
        for segment in term.segments
    )
    return replace(term, segments=tuple(part for part in parts if part.starts_on < part.ends_on))


def _until(covered: Sequence[Days], day: date) -> tuple[Days, ...]:
    return tuple((start, min(end, day)) for start, end in covered if start < day)


def _joined(covered: Sequence[Days], more: Days) -> tuple[Days, ...]:
    """These days and more, which begin where the last of them end, or later."""
    if covered and covered[-1][1] >= more[0]:
        return (*covered[:-1], (covered[-1][0], more[1]))
    return (*covered, more)
