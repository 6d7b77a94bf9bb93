"""How much of a premium is earned at a day: by days, which is how policies are earned, and by the coarser bases with
which actuaries check a whole book.

Each result is one exact computation and one rounding, half to even.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from libs.money import Money, round_half_even


def earned_by_days(premium: Money, starts_on: date, ends_on: date, day: date) -> Money:
    """The part of a premium that is earned when `day` begins; `ends_on` is the day behind the term."""
    passed = min(max((day - starts_on).days, 0), (ends_on - starts_on).days)
    return _share(premium, Fraction(passed, (ends_on - starts_on).days))


def earned_by_months(premium: Money, term_months: int, months: int) -> Money:
    """The part of a premium that is earned after some months, each of which earns the same."""
    return _share(premium, Fraction(min(max(months, 0), term_months), term_months))


def unearned_when_written_evenly(premium: Money, term_months: int, period_months: int, periods_since: int = 0) -> Money:
    """What is unearned, at the end of a period, of a premium that was written evenly over one so many periods before.

    As if all of it had been written in the middle of its period. Months and a term of a year make the method of 24ths;
    half-years and a term of half a year the semi-annual pro rata. The premium may be what was written (direct method),
    or what is in force, as for whole terms (in-force method).
    """
    passed = Fraction((2 * periods_since + 1) * period_months, 2 * term_months)
    return _share(premium, max(1 - passed, Fraction(0)))


def _share(premium: Money, share: Fraction) -> Money:
    return Money(round_half_even(premium.minor * share), premium.currency)
