"""How much of a policy's premium is earned by a day, out of the newest timeline that payments was sent of each term.

The one rule of money: what a coverage of an object has used by a day is the exact sum of its stretches, rounded once.
Earned premium is never added up from changes, so a change that is issued late for an early day corrects itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from uuid import UUID

from libs.errors import Refused
from libs.money import Money, round_half_even
from services.payments.billing.rules.transaction import TimelineLine

Part = tuple[str, int]
"""What earned premium is told apart by: the coverage, empty where lines name none, and the term."""


class TimelineMissing(Refused):
    """Premium of a term cannot be earned: policies never said over which days it is."""

    reason = "DEPENDENCY_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Earnable:
    """A policy as earning sees it."""

    policy_id: UUID
    currency: str
    partner_id: UUID | None
    sequence: int
    """The last of its transactions that is in this picture."""
    is_withdrawn: bool
    """Whether its price has left the books."""
    written: Mapping[Part, int]
    """Net premium of the lines of all its transactions, in minor units."""
    timeline: Sequence[TimelineLine]
    """The stretches of each term as the newest transaction left them that wrote it."""

    @property
    def ends_on(self) -> date | None:
        """The day on which everything is earned; None where there is nothing to be earned."""
        return max((stretch.ends_on for stretch in self.timeline), default=None)


def earned_by(policy: Earnable, day: date) -> dict[Part, Money]:
    """What is earned of each coverage and term when `day` begins. `TimelineMissing` where that cannot be said."""
    if policy.is_withdrawn:
        return {}
    terms = {stretch.term_number for stretch in policy.timeline}
    unknown = {term for (_, term), minor in policy.written.items() if minor and term not in terms}
    if unknown:
        raise TimelineMissing(term=min(unknown))
    whole = {term for coverage, term in policy.written if not coverage}
    used: dict[tuple[str, str, int], Fraction] = {}
    for stretch in policy.timeline:
        days = max((min(day, stretch.ends_on) - stretch.starts_on).days, 0)
        item = (stretch.object_id, stretch.coverage_code, stretch.term_number)
        part = Fraction(stretch.full_term_amount.minor * days, stretch.term_days)
        used[item] = used.get(item, Fraction(0)) + part
    earned: dict[Part, Money] = {}
    for (_, coverage, term), exact in used.items():
        part_of = ("" if term in whole else coverage, term)
        earned[part_of] = earned.get(part_of, Money.zero(policy.currency)) + Money(
            round_half_even(exact), policy.currency
        )
    return earned
