"""What is asked for of a list of quotes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.quotes.quoting.rules.quote import Kind, State


@dataclass(frozen=True, slots=True)
class Filter:
    """Which quotes are asked for; what is empty lets everything pass."""

    state: State | None = None
    kind: Kind | None = None
    product_code: str = ""
    user_id: UUID | None = None
    """The party that it belongs to."""
    policy_id: UUID | None = None
    group_id: UUID | None = None
    number: str = ""
    since: datetime | None = None
    """The first moment at which it may have been made."""
    until: datetime | None = None
    """The first moment behind."""
