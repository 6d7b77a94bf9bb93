"""The kinds of jobs of impact."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.jobs import JobKind


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an analysis that comes after so many quotes. A job whose part was rated already does nothing."""

    rate_change_id: UUID
    done: int


ANALYZE_RATE_CHANGE = JobKind("quotes.analyze_rate_change", Part)
