"""Earning, by the formulas of the books."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.money import Money
from services.payments.ledger.rules.earning import (
    earned_by_days,
    earned_by_months,
    unearned_when_written_evenly,
)

YEAR = (date(2021, 1, 1), date(2022, 1, 1))


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def test_premium_is_earned_by_the_days_that_passed() -> None:
    start = date(2025, 1, 1)
    assert earned_by_days(usd(7000_00), start, date(2026, 1, 1), start + timedelta(days=239)) == usd(4583_56)
    assert earned_by_days(usd(1200_00), start, date(2026, 1, 1), date(2025, 2, 1)) == usd(101_92)


def test_by_24ths_a_month_of_writing_counts_from_its_middle() -> None:
    """T21: written in January, valued at the end of December."""
    written = usd(40000_00)
    unearned = unearned_when_written_evenly(written, 12, 1, 11)
    assert (unearned, written - unearned) == (usd(1666_67), usd(38333_33))
    assert unearned_when_written_evenly(written, 12, 1, 0) == usd(38333_33)
    assert unearned_when_written_evenly(written, 12, 1, 12) == usd(0)


def test_half_a_year_is_half_by_months_and_less_by_days() -> None:
    """T23."""
    premium = usd(1000_00)
    assert earned_by_months(premium, 12, 6) == usd(500_00)
    first = earned_by_days(premium, *YEAR, date(2021, 7, 1))
    assert (first, premium - first) == (usd(495_89), usd(504_11))


def test_semi_annual_pro_rata_takes_half_of_what_is_in_force_or_written() -> None:
    """T24: half a year for 120.00 from 1 August, and 30.00 more from 1 November, which is 60.00 for a whole term."""
    in_force, written = usd(120_00) + usd(60_00), usd(120_00) + usd(30_00)
    assert unearned_when_written_evenly(in_force, 6, 6) == usd(90_00)
    assert unearned_when_written_evenly(written, 6, 6) == usd(75_00)


@given(minor=st.integers(0, 10**12), offsets=st.lists(st.integers(-10, 400), min_size=1).map(sorted))
def test_earned_never_falls_and_ends_at_the_premium(minor: int, offsets: list[int]) -> None:
    amounts = [earned_by_days(usd(minor), *YEAR, YEAR[0] + timedelta(days=offset)).minor for offset in offsets]
    assert amounts == sorted(amounts)
    assert earned_by_days(usd(minor), *YEAR, YEAR[1]) == usd(minor)
    assert 0 <= amounts[0] <= amounts[-1] <= minor
