"""How much of a premium is earned at a day: by days, which is how policies are earned, and by the coarser bases with
which actuaries check a whole book.

Each result is one exact computation and one rounding, half to even.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Final

from libs.money import Money, round_half_even
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Posting, Subject
from services.payments.ledger.rules.posting import PREMIUM_EARNED, merged

UNEARNED: Final = "2000"
EARNED: Final = "4000"
_EARN: Final = ((Side.DEBIT, UNEARNED), (Side.CREDIT, EARNED))
_TAKE_BACK: Final = ((Side.DEBIT, EARNED), (Side.CREDIT, UNEARNED))


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


def premium_earned(
    source_id: str, subject: Subject, day: date, changes: Mapping[tuple[str, int], Money]
) -> Journal | None:
    """The journal of premium that is earned, by coverage and term; None where nothing changes.

    A change below zero takes back what was earned before: cover was given back for days that were over.
    """
    postings = [
        Posting(account, side, amount if amount.minor > 0 else -amount, coverage_code, "", term_number)
        for (coverage_code, term_number), amount in changes.items()
        if amount.minor
        for side, account in (_EARN if amount.minor > 0 else _TAKE_BACK)
    ]
    if not postings:
        return None
    return Journal(PREMIUM_EARNED.name, source_id, subject, day, merged(postings))


def _share(premium: Money, share: Fraction) -> Money:
    return Money(round_half_even(premium.minor * share), premium.currency)
