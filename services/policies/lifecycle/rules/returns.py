"""Premium that comes back when cover is given back, by the method that the product gives for the reason.

Each amount is rounded once, per object and coverage. None is negative, and none is more than what is not earned yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from libs.money import Money, round_half_even
from services.policies.lifecycle.rules.term import Item, Term

_TABLE_DAYS = 365  # what the days of a short-rate table are of


class Method(StrEnum):
    """How much of the price of the days that are given back comes back."""

    FLAT = "flat"  # as if there had never been cover: everything, fees and all
    PRO_RATA = "pro_rata"  # the part of these days
    SHORT_RATE = "short_rate"  # a share of that part
    TABLE = "table"  # of the whole price, what a table by days used does not keep
    NONE = "none"  # nothing, as after a total loss


@dataclass(frozen=True, slots=True)
class Return:
    """A method, and what it needs to know."""

    method: Method
    rate: Fraction = Fraction(1)
    """Of SHORT_RATE: the share that comes back, for example 0.9."""
    table: tuple[tuple[int, Fraction], ...] = ()
    """Of TABLE: from which day, counted in a year of 365, which share of the price is kept; in order of days."""
    minimum_earned: Fraction = Fraction(0)
    """The least share of the written premium that is kept."""


def returned(term: Term, item: Item, day: date, how: Return) -> Money:
    """What comes back of the price of an item when the term, as it stands, ends on `day`."""
    written, earned = term.written(item), term.earned(item, day)
    match how.method:
        case Method.FLAT:
            return written
        case Method.NONE:
            return Money.zero(term.currency)
        case Method.TABLE:
            back = (1 - _kept(term, day, how.table)) * term.accrued(item, term.ends_on)
        case Method.SHORT_RATE:
            back = how.rate * (term.accrued(item, term.ends_on) - term.accrued(item, day))
        case Method.PRO_RATA:
            return written - earned
    most = min(written.minor - earned.minor, written.minor - round_half_even(how.minimum_earned * written.minor))
    return Money(max(0, min(round_half_even(back), most)), term.currency)


def retained(term: Term, day: date, how: Return) -> dict[Item, Money]:
    """What is kept, beyond what is earned, of each item when the term ends on `day`; nothing where it is zero."""
    kept = {}
    if how.method is not Method.FLAT:
        for item in term.items:
            rest = term.written(item) - term.earned(item, day) - returned(term, item, day, how)
            if rest.minor:
                kept[item] = rest
    return kept


def _kept(term: Term, day: date, table: tuple[tuple[int, Fraction], ...]) -> Fraction:
    used = Fraction((day - term.starts_on).days * _TABLE_DAYS, term.days)
    return next((share for first_day, share in reversed(table) if first_day <= used), Fraction(0))
