"""Versions of products: who made and who published each, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.calendar import day_of
from services.quotes.catalogue.rules.sale import Sale, sold_on


class State(StrEnum):
    """How far a version has come."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    ON_SALE = "on_sale"
    OFF_SALE = "off_sale"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a product. What came with the platform has no author; a draft has no publisher and no sale."""

    code: str
    number: int
    author_id: UUID | None = None
    created_at: datetime | None = None
    publisher: str = ""
    published_at: datetime | None = None
    time_zone: str = ""
    sale: Sale | None = None

    def today(self, now: datetime) -> date:
        """The day that it is where the product is sold; of a draft, which is not sold yet, in UTC."""
        return day_of(now, self.time_zone or "UTC")

    def state(self, today: date, sales: Sequence[Sale]) -> State:
        """How far it has come on a day, among all sales of the product."""
        if self.sale is None:
            return State.DRAFT if self.published_at is None else State.OFF_SALE
        if self.sale.starts_on > today:
            return State.SCHEDULED if self.sale.has_days else State.OFF_SALE
        sold = sold_on(sales, today)
        return State.ON_SALE if sold and sold.version == self.number else State.OFF_SALE
