"""What cover costs, and what it covers: the vocabulary of offering, insuring and billing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from libs.money import Money, split_columns


class LineKind(StrEnum):
    """What an amount is for."""

    PREMIUM = "premium"  # net, of one coverage and object
    TAX = "tax"
    FEE = "fee"
    RETENTION = "retention"  # kept beyond the earned premium; net


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One amount of a price, or of a change of a price: then it is signed."""

    kind: LineKind
    amount: Money
    starts_on: date
    ends_on: date
    """First day behind the days over which it is earned; `starts_on` where it is earned at once."""
    coverage_code: str = ""
    charge_code: str = ""
    """Code of the tax or the fee."""
    object_id: str = ""
    term_number: int = 1
    commissionable: bool = False


@dataclass(frozen=True, slots=True)
class Premium:
    """A price, or a part of one: the net premium, the tax on it, and the fees."""

    net: Money
    tax: Money
    fees: Money

    @classmethod
    def of_minor(cls, net: int, tax: int, fees: int, currency: str) -> Premium:
        """A price out of minor units, as rows have them."""
        return cls(Money(net, currency), Money(tax, currency), Money(fees, currency))

    @property
    def total(self) -> Money:
        """What the policyholder pays."""
        return self.net + self.tax + self.fees

    @property
    def currency(self) -> str:
        """The one currency of all parts."""
        return self.net.currency

    def __add__(self, other: Premium) -> Premium:
        return Premium(self.net + other.net, self.tax + other.tax, self.fees + other.fees)

    def split(self, count: int) -> list[Premium]:
        """`count` parts that add up to the whole: net, tax and fees each by itself, and totals as even as can be.

        The totals of two parts differ by one minor unit at most. A column alone may be off by units within its part.
        """
        return [Premium(*part) for part in split_columns([self.net, self.tax, self.fees], count)]


@dataclass(frozen=True, slots=True)
class Coverage:
    """One coverage with the limit and the deductible that were chosen."""

    code: str
    limit: Money | None = None
    deductible: Money | None = None

    @classmethod
    def of_minor(cls, code: str, limit: int | None, deductible: int | None, *, currency: str) -> Coverage:
        """A coverage out of minor units, as rows have them."""
        return cls(
            code,
            Money(limit, currency) if limit is not None else None,
            Money(deductible, currency) if deductible is not None else None,
        )

    def to_minor(self) -> tuple[str, int | None, int | None]:
        """Code, limit and deductible in minor units: what `of_minor` takes."""
        return (
            self.code,
            self.limit.minor if self.limit else None,
            self.deductible.minor if self.deductible else None,
        )


@dataclass(frozen=True, slots=True)
class InsuredObject:
    """One thing or person that is insured: a car with its plate, a traveller."""

    id: str
    """Its name within its quote and its policy, for example `vehicle_1`; empty until one is given."""
    code: str
    """The kind of object in the product, for example `vehicle`."""
    fields: Mapping[str, object]
    """What was asked of it: booleans, whole numbers and text, also for dates, decimal numbers and amounts."""
    identifier: str = ""
    """The value by which it is told from others of its kind, for example its plate."""

    def to_plain(self) -> list[object]:
        """Its values in the order in which it is made of them, as JSON has them."""
        return [self.id, self.code, dict(self.fields), self.identifier]
