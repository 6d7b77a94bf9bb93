"""A journal: one event in the books, in double entry. It holds one currency and balances, or it cannot be made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from libs.errors import AlreadyExists
from libs.money import Money, total
from services.payments.ledger.rules.chart import CHART, Account, Side


class JournalConflict(AlreadyExists):
    """A journal with the same source event exists with other content."""

    reason = "JOURNAL_CONFLICT"


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on one side of an account; always positive."""

    account: str
    side: Side
    amount: Money


@dataclass(frozen=True, slots=True)
class Journal:
    """One event in the books. `rule` and `source_id` together are unique."""

    rule: str
    source_id: str
    policy_id: UUID
    effective_on: date
    postings: tuple[Posting, ...]

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
    journal: Journal


@dataclass(frozen=True, slots=True)
class Balance:
    """The sums of one account in one currency."""

    account: Account
    debits: Money
    credits: Money

    @property
    def amount(self) -> Money:
        """The balance, positive on the side on which the account grows."""
        difference = self.debits - self.credits
        return difference if self.account.normal is Side.DEBIT else -difference


def differences(balances: Iterable[Balance]) -> list[Money]:
    """For each currency, all debits less all credits: zero, or the books are wrong."""
    sums: dict[str, Money] = {}
    for balance in balances:
        currency = balance.debits.currency
        sums[currency] = sums.get(currency, Money.zero(currency)) + balance.debits - balance.credits
    return [sums[currency] for currency in sorted(sums)]
