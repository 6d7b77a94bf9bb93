"""Balances: what the postings of an account add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from libs.money import Money
from services.payments.ledger.rules.chart import Account, Side


class Dimension(StrEnum):
    """By what the postings of an account may be told apart."""

    COVERAGE = "coverage_code"
    TAX = "tax_code"
    PARTNER = "partner_id"


@dataclass(frozen=True, slots=True)
class AsOf:
    """Which postings count; None lets all of them count."""

    last_day: date | None = None
    """The last effective day."""
    booked_before: datetime | None = None
    """The first moment of booking that does not count."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The sums of one account in one currency, or of a part of it."""

    account: Account
    debits: Money
    credits: Money
    part: str = ""
    """The coverage, the tax code or the UUID of the partner, where the account is shown by one of them."""

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
