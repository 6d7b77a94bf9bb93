"""Money by cases: rounding, minor units, precision, and splits that add up."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import (
    AmountInvalid,
    CurrencyMismatch,
    Money,
    exponent,
    round_half_even,
    split_columns,
    total,
)

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
        ("10.00", "XCG", 1000),
        ("10.00", "XCD", 1000),
        ("10.00", "XAD", 1000),
        ("0.5", "EUR", 50),
        ("-0.5", "EUR", -50),
        ("-0", "EUR", 0),
        ("007", "EUR", 700),
        ("9" * 18, "JPY", 10**18 - 1),  # more digits than a float or the context of decimals would keep
        ("9" * 18 + ".9999", "CLF", 10**22 - 1),
        ("-0.01", "EUR", -1),
        ("1.500", "EUR", 150),  # zeros beyond the last place change nothing
    ],
)
def test_currencies_have_their_own_minor_units(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.5", "JPY"), ("1.005", "USD"), ("1.0005", "BHD"), ("1.00001", "CLF"), ("1", "XXY"), ("1", "usd"), ("1", "")],
)
def test_an_amount_that_does_not_fit_is_refused_and_never_rounded(text: str, currency: str) -> None:
    with pytest.raises(AmountInvalid):
        Money.parse(text, currency)


@pytest.mark.parametrize(
    "text",
    [
        *["", "ten", "NaN", "Infinity", "-", ".", "1e2", "1E2", "1_000", "1,000", "0x10", "+1", "--1", "- 1"],
        *[" 1", "1 ", "1\n", "\u00a01", "1 000", ".5", "5.", "-.5", "1.2.3", "1.-2", "1" * 19, "0." + "0" * 19],
        *["\u0661\u0662", "\u096a", "\uff11", "\u00b2", "\u22121", "1\u066b5", "9" * 5000],
    ],
)
def test_only_plain_decimal_numbers_are_amounts(text: str) -> None:
    with pytest.raises(AmountInvalid, match="not a plain decimal number"):
        Money.parse(text, "USD")


@given(st.text(alphabet=st.sampled_from("-+.0123456789eE_ \u0661\uff11"), max_size=8))
def test_an_amount_is_read_exactly_or_not_at_all(text: str) -> None:
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text, re.ASCII) and Decimal(text) * 10_000 % 1 == 0:
        assert Money.parse(text, "CLF").minor == Decimal(text) * 10_000
    else:
        with pytest.raises(AmountInvalid):
            Money.parse(text, "CLF")


@pytest.mark.parametrize("code", "XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split())
def test_what_has_no_minor_units_is_no_currency(code: str) -> None:
    with pytest.raises(AmountInvalid):
        exponent(code)


@pytest.mark.parametrize("code", "ANG BGN CUC HRK SLL USS ZWL".split())
def test_currencies_that_were_withdrawn_are_refused(code: str) -> None:
    with pytest.raises(AmountInvalid):
        exponent(code)


@pytest.mark.parametrize("code", "BOV CHE CHW COU MXV USN XAD XCD XCG".split())
def test_currencies_and_units_of_account_that_were_missing_have_two_places(code: str) -> None:
    assert exponent(code) == 2


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


EVEN = [
    ("T25", 100, "JPY", 3, [34, 33, 33]),
    ("T26", 100_00, "USD", 3, [33_34, 33_33, 33_33]),
    ("T27", 1000_00, "USD", 12, [83_34] * 4 + [83_33] * 8),
    ("T28", 10000, "JPY", 3, [3334, 3333, 3333]),
    ("T28", 50000, "JPY", 12, [4167] * 8 + [4166] * 4),
    ("T35", 170_00, "USD", 12, [14_17] * 8 + [14_16] * 4),
]


@pytest.mark.parametrize(("case", "minor", "currency", "parts", "shares"), EVEN)
def test_equal_shares_give_what_is_left_to_the_earliest(
    case: str, minor: int, currency: str, parts: int, shares: list[int]
) -> None:
    assert [share.minor for share in Money(minor, currency).split([1] * parts)] == shares, case
    assert [share.minor for share in Money(minor, currency).split_evenly(parts)] == shares, case


def test_larger_parts_can_begin_anywhere_and_go_on_at_the_beginning() -> None:
    assert [part.minor for part in Money(170_00, "USD").split_evenly(12, first=4)] == [14_16] * 4 + [14_17] * 8
    assert [part.minor for part in Money(8, "USD").split_evenly(5, first=3)] == [2, 1, 1, 2, 2]
    assert [part.minor for part in Money(-8, "USD").split_evenly(5, first=3)] == [-2, -2, -2, -1, -1]


def test_t27_and_t35_together_make_equal_parts() -> None:
    rows = split_columns([Money(1000_00, "USD"), Money(170_00, "USD")], 12)
    assert [(net.minor, tax.minor) for net, tax in rows] == [(83_34, 14_16)] * 4 + [(83_33, 14_17)] * 8
    assert {total(row, "USD") for row in rows} == {Money(97_50, "USD")}


def test_t30_down_payment_then_equal_parts() -> None:
    price = Money(1200_00, "USD")
    down = price.times(Fraction(20, 100))
    assert [down, *(price - down).split_evenly(8)] == [Money(240_00, "USD"), *[Money(120_00, "USD")] * 8]


@given(amounts, st.integers(1, 60), st.integers(0, 100))
def test_even_parts_add_up_and_differ_by_one_unit_at_most(minor: int, count: int, first: int) -> None:
    parts = [part.minor for part in Money(minor, "EUR").split_evenly(count, first)]
    assert sum(parts) == minor
    assert max(parts) - min(parts) <= 1
    larger = minor % count
    assert sorted((first + number) % count for number in range(larger)) == [
        number for number, part in enumerate(parts) if part > minor // count
    ]


@given(st.lists(amounts, min_size=1, max_size=6), st.integers(1, 60))
def test_columns_of_any_sign_add_up_and_their_rows_differ_by_one_unit_at_most(columns: list[int], count: int) -> None:
    rows = split_columns([Money(minor, "EUR") for minor in columns], count)
    assert [sum(part.minor for part in column) for column in zip(*rows, strict=True)] == columns
    sums = [total(row, "EUR").minor for row in rows]
    assert max(sums) - min(sums) <= 1


@pytest.mark.parametrize("count", [0, -1])
def test_an_amount_is_not_split_into_nothing(count: int) -> None:
    with pytest.raises(ValueError, match="one part or more"):
        Money(100, "EUR").split_evenly(count)


def test_t31_shares_by_days_give_what_is_left_to_the_largest_remainders() -> None:
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
