"""Splitting what is owed into installments, and when they fall due. T numbers are the design's cases."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.calendar import months_after
from libs.premium import LineKind, Premium
from services.payments.billing.rules import plan
from services.payments.billing.rules.amounts import Amounts, nothing, total
from services.payments.billing.rules.plan import Plan

DAY = date(2026, 11, 24)
COLUMNS = [
    (LineKind.PREMIUM, ""),
    (LineKind.TAX, "premium_tax"),
    (LineKind.TAX, "levy"),
    (LineKind.FEE, "policy_fee"),
    (LineKind.RETENTION, ""),
]
amounts_of_any_sign = st.builds(
    lambda minors: Amounts("EUR", {column: minor for column, minor in zip(COLUMNS, minors, strict=True) if minor}),
    st.lists(st.integers(-(10**9), 10**9), min_size=len(COLUMNS), max_size=len(COLUMNS)),
)


def price(net: int, tax: int = 0, fees: int = 0, currency: str = "EUR") -> Amounts:
    return Amounts.of_premium(Premium.of_minor(net, tax, fees, currency))


def split(amounts: Amounts, count: int, down: str = "0") -> list[int]:
    first = plan.fees_first(amounts, Plan(count=count))
    return [part.total.minor for part in plan.split(amounts - first, first, count, Fraction(down))]


@pytest.mark.parametrize(
    ("amounts", "count", "parts"),
    [
        (price(1000_00), 12, [83_34] * 4 + [83_33] * 8),  # T27
        (price(10000, currency="JPY"), 3, [3334, 3333, 3333]),  # T28
        (price(50000, currency="JPY"), 12, [4167] * 8 + [4166] * 4),  # T28
        (price(0, 170_00), 12, [14_17] * 8 + [14_16] * 4),  # T35 by itself
        (price(1000_00, 170_00), 12, [97_50] * 12),  # T27 and T35 together
        (price(100_00, 20_00), 2, [60_00, 60_00]),  # T36
        (price(100_00, 0, 12_50), 4, [37_50, 25_00, 25_00, 25_00]),  # fees stand in the first
    ],
)
def test_price_is_split_evenly(amounts: Amounts, count: int, parts: list[int]) -> None:
    assert split(amounts, count) == parts


def test_t30_down_payment_then_equal_parts() -> None:
    assert split(price(1200_00), 9, "0.2") == [240_00] + [120_00] * 8


def test_price_too_small_for_its_plan_has_fewer_installments() -> None:
    assert split(price(5, currency="JPY"), 12) == [1, 1, 1, 1, 1]


@given(amounts_of_any_sign, amounts_of_any_sign, st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(0, 90))
def test_every_column_adds_up_and_even_parts_differ_by_one_unit_at_most(
    rest: Amounts, first: Amounts, count: int, percent: int
) -> None:
    parts = plan.split(rest, first, count, Fraction(percent, 100))
    whole = rest + first
    if whole.total.minor <= 0:
        return
    assert 1 <= len(parts) <= count
    if rest.total.minor > count * count:
        assert total(parts, "EUR") == whole
    assert total(parts, "EUR").total == whole.total
    others = [part.total.minor for part in parts[1:]]
    assert not others or max(others) - min(others) <= 1
    assert all(minor > 0 for minor in others)


@given(amounts_of_any_sign)
def test_amounts_taken_away_leave_nothing(amounts: Amounts) -> None:
    assert amounts - amounts == nothing("EUR")


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 8, 31), 3, date(2026, 11, 30)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
    ],
)
def test_month_ends_are_clamped(day: date, months: int, expected: date) -> None:
    assert months_after(day, months) == expected


def test_first_part_falls_due_at_issue_and_the_others_monthly_from_the_start() -> None:
    days = plan.due_dates(DAY, date(2027, 1, 31), 12)
    assert days[:4] == [DAY, date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert len(days) == 12


@given(count=st.integers(1, 60), starts_on=st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_no_part_falls_due_before_issue_or_before_an_earlier_part(count: int, starts_on: date) -> None:
    days = plan.due_dates(DAY, starts_on, count)
    assert len(days) == count
    assert days[0] == DAY
    assert days == sorted(days)
