"""What an amount is made of: net premium, what is kept, each tax and each fee by its code.

An installment is split column by column, so that every column adds up. A column may be off by units within a part, and
may be negative in one; what is checked of a part is its total.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from libs.money import Money, round_half_even, split_columns
from libs.premium import ChargeLine, LineKind, Premium

Column = tuple[LineKind, str]
"""What an amount is for: its kind, and the code of a tax or fee."""
_ORDER = list(LineKind)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Signed minor units of one currency, by what they are for. There is no column of zero."""

    currency: str
    columns: Mapping[Column, int]

    @classmethod
    def of_lines(cls, lines: Iterable[ChargeLine], currency: str) -> Amounts:
        """The sums of lines. `CurrencyMismatch` where one is in another currency."""
        sums: dict[Column, Money] = {}
        for line in lines:
            column = (line.kind, line.charge_code)
            sums[column] = sums.get(column, Money.zero(currency)) + line.amount
        return _amounts(currency, {column: money.minor for column, money in sums.items()})

    @classmethod
    def of_premium(cls, premium: Premium) -> Amounts:
        """The amounts of a price whose taxes and fees have no codes."""
        columns = {
            (LineKind.PREMIUM, ""): premium.net.minor,
            (LineKind.TAX, ""): premium.tax.minor,
            (LineKind.FEE, ""): premium.fees.minor,
        }
        return _amounts(premium.currency, columns)

    @property
    def items(self) -> list[tuple[LineKind, str, Money]]:
        """Each column: premium first, then taxes, fees and what is kept."""
        columns = sorted(self.columns.items(), key=lambda column: (_ORDER.index(column[0][0]), column[0][1]))
        return [(kind, code, Money(minor, self.currency)) for (kind, code), minor in columns]

    @property
    def total(self) -> Money:
        """All of it."""
        return Money(sum(self.columns.values()), self.currency)

    @property
    def premium(self) -> Premium:
        """Net with what is kept, tax, and fees."""
        net = self._sum(LineKind.PREMIUM) + self._sum(LineKind.RETENTION)
        return Premium.of_minor(net, self._sum(LineKind.TAX), self._sum(LineKind.FEE), self.currency)

    @property
    def fees(self) -> Amounts:
        """The fees of it alone."""
        return _amounts(self.currency, {column: minor for column, minor in self.columns.items() if _is_fee(column)})

    def __add__(self, other: Amounts) -> Amounts:
        columns = dict(self.columns)
        for column, minor in other.columns.items():
            columns[column] = columns.get(column, 0) + minor
        return _amounts(self.currency, columns)

    def __neg__(self) -> Amounts:
        return Amounts(self.currency, {column: -minor for column, minor in self.columns.items()})

    def __sub__(self, other: Amounts) -> Amounts:
        return self + -other

    def share(self, share: Fraction) -> Amounts:
        """A share of each column, rounded half to even."""
        columns = {column: round_half_even(minor * share) for column, minor in self.columns.items()}
        return _amounts(self.currency, columns)

    def split(self, count: int) -> list[Amounts]:
        """`count` parts: each column adds up, and no two totals differ by more than one minor unit."""
        rows = split_columns([amount for _, _, amount in self.items], count)
        columns = [(kind, code) for kind, code, _ in self.items]
        return [
            _amounts(self.currency, {column: money.minor for column, money in zip(columns, row, strict=True)})
            for row in rows or [()] * count
        ]

    def _sum(self, kind: LineKind) -> int:
        return sum(minor for column, minor in self.columns.items() if column[0] is kind)


def nothing(currency: str) -> Amounts:
    """No amount."""
    return Amounts(currency, {})


def total(parts: Iterable[Amounts], currency: str) -> Amounts:
    """The sum of amounts of one currency."""
    return sum(parts, nothing(currency))


def _is_fee(column: Column) -> bool:
    return column[0] is LineKind.FEE


def _amounts(currency: str, columns: Mapping[Column, int]) -> Amounts:
    return Amounts(currency, {column: minor for column, minor in columns.items() if minor})
