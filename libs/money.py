"""Money: whole minor units and a currency. Never a float.

Rounding happens once, at the end of an exact computation, half to even (`roundTiesToEven` of IEEE 754): rounded
amounts are then as often too high as too low.

Text is read strictly, too: what people and files write as an amount is plain, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from libs.errors import Invalid

# ISO 4217, list one as of 2026-01-01: every code to which it gives minor units. Metals, units of bond markets, and the
# codes for tests and for no currency have none. How many decimal places an amount has.
_PLACES = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
    **dict.fromkeys(
        """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
        YER ZAR ZMW ZWG
        """.split(),
        2,
    ),
}
NANOS = 1_000_000_000
# By currency: minor units of a whole one, and billionths of a minor one. A reply has dozens of amounts.
_SCALES = {currency: (10**places, NANOS // 10**places) for currency, places in _PLACES.items()}

PLAIN_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?")
"""A decimal number as text: digits of ASCII, a minus before them, a point between them. Sign, whole digits, places.

Python's own readers take `1e2`, `1_000`, ` 1`, `+1`, `.5`, `5.` and the digits of other scripts as well.
"""


class AmountInvalid(Invalid):
    """The amount has more decimal places than its currency, a wrong sign, or an unknown currency."""

    reason = "AMOUNT_INVALID"


class CurrencyMismatch(Invalid):
    """Two amounts are in different currencies."""

    reason = "CURRENCY_MISMATCH"


def exponent(currency: str) -> int:
    """Decimal places of a currency by ISO 4217. `AmountInvalid` for an unknown code."""
    try:
        return _PLACES[currency]
    except KeyError:
        raise _unknown(currency) from None


def _unknown(currency: str) -> AmountInvalid:
    return AmountInvalid(f"{currency!r} is not an ISO 4217 currency code", currency=currency)


def round_half_even(value: Fraction | Decimal | int) -> int:
    """The nearest whole number; a tie goes to the even one."""
    return round(Fraction(value))


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Shares in proportion to `weights` that add up to the amount (largest remainder, ties to the earliest)."""
    total = sum(weights)
    if not total or min(weights) < 0:
        raise ValueError("weights must be non-negative and not all zero")
    size = abs(amount)
    parts = [divmod(size * weight, total) for weight in weights]
    shares = [share for share, _ in parts]
    left = size - sum(shares)
    if left:
        for i in sorted(range(len(parts)), key=lambda i: parts[i][1], reverse=True)[:left]:
            shares[i] += 1
    return shares if amount >= 0 else [-share for share in shares]


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount: `minor` units (cents, or whole yen) of `currency`."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a plain decimal number of whole units (`PLAIN_DECIMAL`).

        `AmountInvalid` for any other text, and when the number has more places than the currency.
        """
        places = exponent(currency)
        match = PLAIN_DECIMAL.fullmatch(text)
        if match is None:
            raise AmountInvalid(f"{text!r} is not a plain decimal number", amount=text)
        sign, whole, decimals = match.groups(default="")
        if decimals[places:].strip("0"):
            raise AmountInvalid(f"{currency} has {places} decimal places, {text!r} does not fit", amount=text)
        return cls(int(sign + whole + decimals[:places].ljust(places, "0")), currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in a currency."""
        return cls(0, currency)

    @classmethod
    def from_units(cls, units: int, nanos: int, currency: str) -> Money:
        """Read `google.type.Money`: whole units and billionths, of one sign. `AmountInvalid` if it is not exact."""
        if abs(nanos) >= NANOS or (units > 0 > nanos) or (units < 0 < nanos):
            raise AmountInvalid("units and nanos differ in sign, or nanos is out of range")
        scale = 10 ** exponent(currency)
        minor, rest = divmod(units * NANOS * scale + nanos * scale, NANOS)
        if rest:
            raise AmountInvalid(f"{currency} has {exponent(currency)} decimal places, the amount has more")
        return cls(minor, currency)

    def to_units(self) -> tuple[int, int]:
        """Whole units and billionths, for `google.type.Money`."""
        try:
            scale, nanos = _SCALES[self.currency]
        except KeyError:
            raise _unknown(self.currency) from None
        minor = self.minor
        if minor >= 0:
            return minor // scale, minor % scale * nanos
        return -(-minor // scale), -(-minor % scale * nanos)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same_currency(other)
        return self.minor <= other.minor

    def times(self, factor: Fraction | Decimal | int) -> Money:
        """The amount times an exact factor, rounded once, half to even."""
        return Money(round_half_even(self.minor * Fraction(factor)), self.currency)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Shares in proportion to `weights` that add up to the amount, as those of `split`."""
        return [Money(share, self.currency) for share in split(self.minor, weights)]

    def split_evenly(self, count: int, first: int = 0) -> list[Money]:
        """`count` parts that add up to the amount, of which no two differ by more than one minor unit.

        The larger parts stand together: from position `first` on, and from the beginning again behind the last one.
        """
        if count < 1:
            raise ValueError("an amount is split into one part or more")
        least, larger = divmod(self.minor, count)
        return [Money(least + ((number - first) % count < larger), self.currency) for number in range(count)]

    def __str__(self) -> str:
        places = exponent(self.currency)
        return f"{Decimal(self.minor).scaleb(-places):.{places}f} {self.currency}"

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(expected=self.currency, actual=other.currency)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum of amounts of one currency; zero when there are none. `CurrencyMismatch` names another one."""
    minor = 0
    for amount in amounts:
        if amount.currency != currency:
            raise CurrencyMismatch(expected=currency, actual=amount.currency)
        minor += amount.minor
    return Money(minor, currency)


def split_columns(columns: Sequence[Money], count: int) -> list[tuple[Money, ...]]:
    """`count` rows over amounts of one currency that are split evenly, each column by itself.

    The larger parts of a column begin where those of the one before it end. So it is with the sums of rows as with a
    single amount: no two differ by more than one minor unit, whatever the signs of the columns are.
    """
    first = 0
    parts = []
    for column in columns:
        parts.append(column.split_evenly(count, first))
        first += column.minor % count
    return list(zip(*parts, strict=True))
