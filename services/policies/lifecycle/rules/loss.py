"""The losses of a policy, as far as a change of it has to know: a mark for each, written by claims.

A mark keeps cover from being taken back under a loss. What is said of the loss itself stands with its claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from libs.calendar import day_of
from libs.errors import Refused


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
