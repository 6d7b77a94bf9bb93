"""Money by cases: rounding, minor units, precision, and splits that add up."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import AmountInvalid, CurrencyMismatch, Money, exponent, round_half_even, total

amounts = st.integers(-(10**15), 10**15)
weights = st.lists(st.integers(0, 1000), min_size=1, max_size=24).filter(any)


@pytest.mark.parametrize(("value", "rounded"), [("2.5", 2), ("3.5", 4), ("-2.5", -2), ("2.4999", 2), ("-3.5", -4)])
def test_whole_numbers_round_half_to_even(value: str, rounded: int) -> None:
    assert round_half_even(Decimal(value)) == rounded


@pytest.mark.parametrize(
    ("value", "cents"),
    [("0.125", 12), ("0.135", 14), ("2.675", 268), ("1234.565", 123456), ("1234.575", 123458)],
)
def test_cents_round_half_to_even_without_passing_through_a_float(value: str, cents: int) -> None:
    assert Money(1, "USD").times(Decimal(value) * 100) == Money(cents, "USD")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("500", "JPY", 500),
        ("10.00", "USD", 1000),
        ("10.00", "MZN", 1000),
        ("10.000", "BHD", 10000),
        ("10.0000", "CLF", 100000),
        ("10", "USD", 1000),
        ("-0.01", "EUR", -1),
        ("1.500", "EUR", 150),  # zeros beyond the last place change nothing
    ],
)
def test_currencies_have_their_own_minor_units(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.5", "JPY"), ("1.005", "USD"), ("1.0005", "BHD"), ("ten", "USD"), ("", "USD"), ("NaN", "USD"), ("1", "XXY")],
)
def test_an_amount_that_does_not_fit_is_refused_and_never_rounded(text: str, currency: str) -> None:
    with pytest.raises(AmountInvalid):
        Money.parse(text, currency)


@pytest.mark.parametrize(
    ("units", "nanos", "currency"),
    [(1, 500_000_000, "JPY"), (1, 5_000_000, "USD"), (1, 500_000, "BHD"), (1, -1, "USD"), (0, 10**9, "USD")],
)
def test_units_and_nanos_that_do_not_fit_are_refused(units: int, nanos: int, currency: str) -> None:
    with pytest.raises(AmountInvalid):
        Money.from_units(units, nanos, currency)


@given(amounts, st.sampled_from(["JPY", "USD", "BHD", "CLF"]))
def test_units_and_nanos_say_the_same_amount(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    units, nanos = money.to_units()
    assert Money.from_units(units, nanos, currency) == money
    assert Fraction(units) + Fraction(nanos, 10**9) == Fraction(minor, 10 ** exponent(currency))


@pytest.mark.parametrize(
    ("minor", "currency", "parts", "shares"),
    [
        (100, "JPY", 3, [34, 33, 33]),
        (100_00, "USD", 3, [33_34, 33_33, 33_33]),
        (1000_00, "USD", 12, [83_34] * 4 + [83_33] * 8),
        (10000, "JPY", 3, [3334, 3333, 3333]),
        (50000, "JPY", 12, [4167] * 8 + [4166] * 4),
        (170_00, "USD", 12, [14_17] * 8 + [14_16] * 4),
    ],
)
def test_equal_shares_give_what_is_left_to_the_earliest(
    minor: int, currency: str, parts: int, shares: list[int]
) -> None:
    assert [share.minor for share in Money(minor, currency).split([1] * parts)] == shares


def test_shares_by_days_give_what_is_left_to_the_largest_remainders() -> None:
    shares = Money(1000_00, "USD").split([90, 91, 92, 92])
    assert [share.minor for share in shares] == [246_58, 249_32, 252_05, 252_05]


@given(amounts, weights)
def test_shares_add_up_and_are_within_one_unit_of_their_due(minor: int, by: list[int]) -> None:
    shares = Money(minor, "EUR").split(by)
    assert total(shares, "EUR").minor == minor
    assert all(
        abs(share.minor - Fraction(minor * weight, sum(by))) < 1 for share, weight in zip(shares, by, strict=True)
    )


@pytest.mark.parametrize("by", [[], [0], [1, -1]])
def test_weights_that_mean_nothing_are_refused(by: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Money(100, "EUR").split(by)


@pytest.mark.parametrize(
    ("minor", "rate", "expected"),
    [
        (1200_00, "0.17", 204_00),
        (1234_56, "0.005", 6_17),
        (1200_00, "0.15", 180_00),
        (1234_56, "0.125", 154_32),
        (1200_00, "0.144", 172_80),
    ],
)
def test_rates_are_exact_and_rounded_once(minor: int, rate: str, expected: int) -> None:
    assert Money(minor, "USD").times(Decimal(rate)) == Money(expected, "USD")


@pytest.mark.parametrize(("minor", "left", "term", "share", "due"), [(500_00, 215, 365, "0.9", 265_07)])
def test_a_chain_of_factors_is_rounded_once_at_its_end(minor: int, left: int, term: int, share: str, due: int) -> None:
    assert Money(minor, "USD").times(Fraction(left, term) * Fraction(share)) == Money(due, "USD")


def test_rounding_in_the_middle_would_have_given_another_amount() -> None:
    premium, factor = Money(1000_00, "USD"), Fraction(359, 365)
    assert premium.times(factor * Fraction(9, 10)).minor == 885_21
    assert premium.times(factor).times(Fraction(9, 10)).minor == 885_20


MIXES: list[Callable[[Money, Money], object]] = [operator.add, operator.sub, operator.lt, operator.le]


@pytest.mark.parametrize("mix", MIXES)
def test_currencies_do_not_mix(mix: Callable[[Money, Money], object]) -> None:
    with pytest.raises(CurrencyMismatch) as caught:
        mix(Money(1, "EUR"), Money(1, "USD"))
    assert caught.value.metadata == {"expected": "EUR", "actual": "USD"}


def test_amounts_read_as_people_write_them() -> None:
    assert str(Money(-123456, "EUR")) == "-1234.56 EUR"
    assert str(Money(500, "JPY")) == "500 JPY"
    assert str(Money(1, "BHD")) == "0.001 BHD"
