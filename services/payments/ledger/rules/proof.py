"""The proof of one policy: what billing says of it against what the ledger says.

Billing's numbers come from its own tables (lines, installments, invoices, allocations, credits), the ledger's from
postings. Neither is made from the other, so that a mistake in either shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from libs.money import Money
from services.payments.ledger.rules.balance import Balance


class Item(StrEnum):
    """What is compared."""

    PREMIUM = "premium"  # written: earned or not
    RETENTION = "retention"
    TAX = "tax"
    FEES = "fees"
    UNBILLED = "unbilled"
    OPEN = "open"
    PAID = "paid"
    CREDIT = "credit"
    EARNED = "earned"
    UNEARNED = "unearned"
    REFUNDS = "refunds"


ACCOUNTS: Mapping[Item, tuple[str, ...]] = MappingProxyType(
    {
        Item.PREMIUM: ("2000", "4000"),
        Item.RETENTION: ("4110",),
        Item.TAX: ("2100",),
        Item.FEES: ("4100",),
        Item.UNBILLED: ("1105",),
        Item.OPEN: ("1100",),
        Item.PAID: ("1010",),
        Item.CREDIT: ("2300",),
        Item.EARNED: ("4000",),
        Item.UNEARNED: ("2000",),
        Item.REFUNDS: ("2310",),
    }
)
"""The accounts whose balances together are the item, each on the side on which it grows."""


@dataclass(frozen=True, slots=True)
class Billed:
    """What billing says of a policy, in minor units."""

    currency: str
    amounts: Mapping[Item, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """One item as both sides have it."""

    item: Item
    billed: Money
    booked: Money

    @property
    def difference(self) -> Money:
        """Zero, unless one of the two is wrong."""
        return self.billed - self.booked


def compare(billed: Billed, balances: Iterable[Balance]) -> list[Compared]:
    """Each item as billing has it and as the accounts of the policy have it."""
    zero = Money.zero(billed.currency)
    by_account = {balance.account.code: balance.amount for balance in balances}
    return [
        Compared(
            item,
            Money(billed.amounts[item], billed.currency),
            sum((by_account.get(code, zero) for code in codes), zero),
        )
        for item, codes in ACCOUNTS.items()
    ]
