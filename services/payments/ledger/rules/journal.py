"""A journal: one event in the books, in double entry. It holds one currency and balances, or it cannot be made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from libs.errors import AlreadyExists
from libs.money import Money, total
from services.payments.ledger.rules.chart import CHART, Side


class JournalConflict(AlreadyExists):
    """A journal with the same source event exists with other content."""

    reason = "JOURNAL_CONFLICT"


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on one side of an account; always positive."""

    account: str
    side: Side
    amount: Money
    coverage_code: str = ""
    tax_code: str = ""
    term_number: int = 0
    """The term of the policy that the amount belongs to; 0 where it belongs to none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a journal is about; None for each kind of thing that it is not about."""

    policy_id: UUID | None = None
    billing_account_id: UUID | None = None
    claim_id: UUID | None = None
    partner_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """One event in the books. `rule` and `source_id` together are unique."""

    rule: str
    source_id: str
    subject: Subject
    effective_on: date
    postings: tuple[Posting, ...]
    written_on: date | None = None
    """For reports of written premium by month: the later of the day of issue and the first day of cover."""

    def __post_init__(self) -> None:
        """`ValueError` for a journal that must never be: it is a mistake of the rule, not of a caller."""
        for posting in self.postings:
            if posting.account not in CHART or posting.amount.minor <= 0:
                raise ValueError(f"{self.rule} {self.source_id}: {posting} cannot be posted")
        if not self.postings or self.sum(Side.DEBIT) != self.sum(Side.CREDIT):
            raise ValueError(f"{self.rule} {self.source_id} does not balance")

    @property
    def currency(self) -> str:
        """The one currency of the journal."""
        return self.postings[0].amount.currency

    def sum(self, side: Side) -> Money:
        """All of one side. `CurrencyMismatch` when there is more than one currency."""
        return total((posting.amount for posting in self.postings if posting.side is side), self.currency)


@dataclass(frozen=True, slots=True)
class Booked:
    """A journal as it stands in the books."""

    id: UUID
    booked_at: datetime
    trace_id: str
    journal: Journal


@dataclass(frozen=True, slots=True)
class Filter:
    """Which journals are asked for; what is empty lets everything pass."""

    policy_id: UUID | None = None
    billing_account_id: UUID | None = None
    claim_id: UUID | None = None
    partner_id: UUID | None = None
    account_code: str = ""
    rule: str = ""
    source_id: str = ""
    trace_id: str = ""
    booked_from: datetime | None = None
    booked_before: datetime | None = None
