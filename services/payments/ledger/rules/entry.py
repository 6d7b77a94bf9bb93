"""The ledger of one account: its postings one after another, each with the balance behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from libs.money import Money
from services.payments.ledger.rules.chart import CHART
from services.payments.ledger.rules.journal import Posting


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a posting in the ledger of its account: by effective day, then by journal and line."""

    effective_on: date
    journal_id: UUID
    line: int

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `str` made the text of; `ValueError` for any other text."""
        day, journal_id, line = text.split("/")
        return cls(date.fromisoformat(day), UUID(journal_id), int(line))

    def __str__(self) -> str:
        return f"{self.effective_on}/{self.journal_id}/{self.line}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One posting with what its journal says of it."""

    position: Position
    rule: str
    source_id: str
    booked_at: datetime
    posting: Posting


@dataclass(frozen=True, slots=True)
class Extract:
    """Which postings of an account are asked for: those in a currency, of some days, entered before a moment."""

    account_code: str
    currency: str
    first_day: date | None = None
    last_day: date | None = None
    booked_before: datetime | None = None


def balances_behind(opening: Money, entries: Sequence[Entry]) -> list[Money]:
    """The balance of the account behind each of its postings, on the side on which the account grows."""
    balance, balances = opening, []
    for entry in entries:
        posting = entry.posting
        grows = posting.side is CHART[posting.account].normal
        balance = balance + posting.amount if grows else balance - posting.amount
        balances.append(balance)
    return balances
