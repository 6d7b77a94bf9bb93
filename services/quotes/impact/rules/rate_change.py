"""Analyses of rate changes: what is rated again with which version, and how far that has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.quotes.impact.rules.impact import Impact


@dataclass(frozen=True, slots=True)
class RateChange:
    """One analysis. Quotes are rated in the order of their identifiers, those behind `last_id` are not part of it."""

    id: UUID
    product_code: str
    version: int
    only_bound: bool
    author_id: UUID
    created_at: datetime
    currency: str
    total: int
    """How many quotes there are to rate."""
    last_id: UUID | None
    """None where there is none."""
    done: int
    done_id: UUID | None
    """The quote that was rated last; the next one is behind it."""
    finished_at: datetime | None
    impact: Impact

    @property
    def is_done(self) -> bool:
        """Whether every quote was rated."""
        return self.finished_at is not None
