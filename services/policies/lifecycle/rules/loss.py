"""The losses of a policy, as far as a change of it has to know: a mark for each, written by claims.

A mark keeps cover from being taken back under a loss. What is said of the loss itself stands with its claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from libs.calendar import day_of
from libs.errors import Refused
from services.policies.lifecycle.rules.term import Term


class ClaimPaid(Refused):
    """A loss is claimed or paid that the change would leave without cover."""

    reason = "CLAIM_PAID"


class LossState(StrEnum):
    """How far the claim of a loss has come."""

    REGISTERED = "registered"
    CLOSED = "closed"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class LossMark:
    """A loss of an insured object under a coverage, as a claim has it."""

    claim_id: str
    """As callers see it."""
    object_id: str
    coverage_code: str
    loss_at: datetime
    state: LossState
    is_paid: bool = False

    @property
    def stands(self) -> bool:
        """Whether it is claimed: the claim is neither denied nor withdrawn, or something was paid on it."""
        return self.is_paid or self.state not in (LossState.DENIED, LossState.WITHDRAWN)


def check_cover_kept(marks: Iterable[LossMark], day: date, time_zone: str, *, is_flat: bool) -> None:
    """`ClaimPaid` when a loss of `day` or later is paid; or claimed, where cover is taken back as if it never was."""
    for mark in marks:
        if day_of(mark.loss_at, time_zone) >= day and (mark.is_paid or (is_flat and mark.stands)):
            raise ClaimPaid(claim_id=mark.claim_id)


def check_still_covered(
    marks: Iterable[LossMark], before: Sequence[Term], after: Sequence[Term], time_zone: str
) -> None:
    """`ClaimPaid` when a loss is claimed or paid whose object and coverage were insured on its day, and would be no
    more.
    """
    for mark in marks:
        day = day_of(mark.loss_at, time_zone)
        if mark.stands and _insures(before, day, mark) and not _insures(after, day, mark):
            raise ClaimPaid(claim_id=mark.claim_id)


def _insures(terms: Sequence[Term], day: date, mark: LossMark) -> bool:
    segment = next((found for term in terms if (found := term.segment_on(day)) is not None), None)
    if segment is None:
        return False
    objects = {insured.id for insured in segment.risk.objects}
    is_there = not mark.object_id or mark.object_id in objects
    return is_there and mark.coverage_code in {coverage.code for coverage in segment.risk.coverages}
