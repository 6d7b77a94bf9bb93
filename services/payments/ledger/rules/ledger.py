"""The double-entry ledger: the chart of accounts, and one rule for each event that moves money.

A rule is a function that returns a journal. A journal holds one currency and balances, or it cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from libs.errors import AlreadyExists
from libs.money import Money, total
from libs.premium import Premium


class JournalConflict(AlreadyExists):
    """A journal with the same source event exists with other content."""

    reason = "JOURNAL_CONFLICT"


class Side(StrEnum):
    """The side of an account."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the chart; `normal` is the side on which it grows."""

    code: str
    name: str
    normal: Side = Side.CREDIT


_D = Side.DEBIT
CHART: Mapping[str, Account] = MappingProxyType(
    {
        account.code: account
        for account in (
            Account("1000", "Bank", _D),
            Account("1010", "Gateway clearing", _D),
            Account("1015", "Disputed funds", _D),
            Account("1100", "Premium receivable (invoiced)", _D),
            Account("1105", "Premium receivable (unbilled)", _D),
            Account("1110", "Producer clawback receivable", _D),
            Account("1120", "Claim recoveries receivable", _D),
            Account("1190", "Deferred acquisition cost", _D),
            Account("2000", "Unearned premium"),
            Account("2100", "Premium tax payable"),
            Account("2200", "Commission payable"),
            Account("2300", "Customer credit balance"),
            Account("2310", "Refunds payable"),
            Account("2400", "Case reserves"),
            Account("2410", "Claims payable"),
            Account("2500", "Due to carrier"),
            Account("2900", "Unidentified receipts"),
            Account("4000", "Earned premium"),
            Account("4100", "Policy fees"),
            Account("4110", "Cancellation retention"),
            Account("4200", "Commission income"),
            Account("5000", "Claims incurred", _D),
            Account("5010", "Claim expenses", _D),
            Account("5100", "Commission expense", _D),
            Account("5200", "Processor fees", _D),
            Account("5210", "Dispute losses and fees", _D),
            Account("5300", "Bad debt", _D),
            Account("5900", "Rounding", _D),
        )
    }
)


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


def policy_issued(source_id: str, policy_id: UUID, premium: Premium, day: date) -> Journal:
    """The whole price is owed, though not billed; net is unearned, tax is owed to the state, fees are income."""
    return _journal(
        "policy_issued",
        source_id,
        policy_id,
        day,
        debit=(("1105", premium.total),),
        credit=(("2000", premium.net), ("2100", premium.tax), ("4100", premium.fees)),
    )


def invoice_issued(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What is owed is now billed."""
    return _journal("invoice_issued", source_id, policy_id, day, debit=(("1100", amount),), credit=(("1105", amount),))


def invoice_voided(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What was billed is owed as if it had not been: the reverse of `invoice_issued`."""
    return _journal("invoice_voided", source_id, policy_id, day, debit=(("1105", amount),), credit=(("1100", amount),))


def policy_not_taken(source_id: str, policy_id: UUID, premium: Premium, day: date) -> Journal:
    """Nothing is owed for a contract that never took effect: the reverse of `policy_issued`."""
    return _journal(
        "policy_not_taken",
        source_id,
        policy_id,
        day,
        debit=(("2000", premium.net), ("2100", premium.tax), ("4100", premium.fees)),
        credit=(("1105", premium.total),),
    )


def payment_captured(source_id: str, policy_id: UUID, amount: Money, day: date) -> Journal:
    """What was billed is with the payment provider."""
    return _journal(
        "payment_captured", source_id, policy_id, day, debit=(("1010", amount),), credit=(("1100", amount),)
    )


def differences(balances: Iterable[Balance]) -> list[Money]:
    """For each currency, all debits less all credits: zero, or the books are wrong."""
    sums: dict[str, Money] = {}
    for balance in balances:
        currency = balance.debits.currency
        sums[currency] = sums.get(currency, Money.zero(currency)) + balance.debits - balance.credits
    return [sums[currency] for currency in sorted(sums)]


def _journal(
    rule: str,
    source_id: str,
    policy_id: UUID,
    day: date,
    *,
    debit: Iterable[tuple[str, Money]],
    credit: Iterable[tuple[str, Money]],
) -> Journal:
    """A journal of what is not zero."""
    sides = ((Side.DEBIT, debit), (Side.CREDIT, credit))
    postings = (Posting(account, side, amount) for side, pairs in sides for account, amount in pairs if amount.minor)
    return Journal(rule, source_id, policy_id, day, tuple(postings))
