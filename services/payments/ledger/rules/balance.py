"""Balances: what the postings of an account add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libs.money import Money
from services.payments.ledger.rules.chart import Account, Side


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
