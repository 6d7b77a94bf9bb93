"""The chart of accounts. Codes are never given to another account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


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
