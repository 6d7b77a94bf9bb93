"""What is known of a policy on which something is past due. Payments alone decides it and tells each step; here it is
what cover and lapse go by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.calendar import start_of
from libs.money import Money


class Standing(StrEnum):
    """Where a delinquency stands."""

    PAST_DUE = "past_due"
    IN_GRACE = "in_grace"  # cover goes on until the grace ends
    LAPSING = "lapsing"  # the grace is over, and the lapse is on its way
    LAPSED = "lapsed"
    SETTLED = "settled"
    SUSPENDED = "suspended"  # nothing follows from it for now


OVER = frozenset({Standing.LAPSED, Standing.SETTLED})
"""Where nothing is past due any more, or the policy lapsed for it."""


@dataclass(frozen=True, slots=True)
class Delinquency:
    """A delinquency as payments told it last."""

    id: UUID
    version: int
    """Counts the steps of all delinquencies of the policy."""
    standing: Standing
    past_due: Money
    since_on: date | None
    """The first day on which something fell due that is not paid."""
    grace_ends_on: date | None
    """The first day without cover, unless it is paid before."""

    @property
    def is_open(self) -> bool:
        """Whether something is past due, and the policy did not lapse for it."""
        return self.standing not in OVER

    def leaves_unclear(self, moment: datetime, time_zone: str) -> bool:
        """Whether nobody can say if there is cover at a moment: the grace is over then, and it is not settled."""
        if self.grace_ends_on is None or self.standing not in (Standing.IN_GRACE, Standing.LAPSING):
            return False
        return moment >= start_of(self.grace_ends_on, time_zone)


def is_newer(version: int, known: Delinquency | None) -> bool:
    """Whether a version is newer than what is known of the policy."""
    return known is None or version > known.version
