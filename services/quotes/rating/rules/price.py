"""A price: what cover costs for one term, and how that came about."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from libs.money import Money
from libs.premium import ChargeLine, LineKind, Premium
from services.quotes.catalogue.rules.product import StepKind


class PriceStep(NamedTuple):
    """One step of a breakdown. `amount` is in minor units of the price's currency."""

    name: str
    kind: StepKind
    coverage_code: str
    factor: str
    amount: int
    object_id: str = ""


class Line(NamedTuple):
    """What one coverage of one object costs for the whole term, or a tax or a fee. `amount` is in minor units."""

    kind: LineKind
    coverage_code: str
    charge_code: str
    object_id: str
    amount: int


class Price(NamedTuple):
    """What cover costs for one term, in minor units, and how that came about."""

    currency: str
    net: int
    tax: int
    fees: int
    steps: tuple[PriceStep, ...]
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        """What the policyholder pays."""
        return self.net + self.tax + self.fees

    @property
    def premium(self) -> Premium:
        """The price without how it came about."""
        return Premium.of_minor(self.net, self.tax, self.fees, self.currency)

    def charges(self, starts_on: date, ends_on: date) -> tuple[ChargeLine, ...]:
        """The lines for a term. Premium is earned over its days, taxes and fees at once; commission is on premium."""
        return tuple(
            ChargeLine(
                kind=line.kind,
                amount=Money(line.amount, self.currency),
                starts_on=starts_on,
                ends_on=ends_on if line.kind is LineKind.PREMIUM else starts_on,
                coverage_code=line.coverage_code,
                charge_code=line.charge_code,
                object_id=line.object_id,
                commissionable=line.kind is LineKind.PREMIUM,
            )
            for line in self.lines
        )


def half_even(numerator: int, denominator: int) -> int:
    """The nearest whole number to a quotient of non-negative numbers; a tie goes to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest << 1
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient
