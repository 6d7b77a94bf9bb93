"""Days of cover and of sale, and that a price can be worked out again for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quotes.catalogue.rules.product import Term
from services.quotes.quoting.rules.quote import Quote
from services.quotes.quoting.store import quotes
from services.quotes.rating.rules.pricing import Risk, StartDateInvalid, compile_tariff
from tests.unit.quotes.samples import ANSWERS, NOW, calculate, make_quote, tariff


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (date(2025, 1, 1), date(2026, 1, 1), 365),
        (date(2024, 1, 1), date(2025, 1, 1), 366),
        (date(2024, 2, 28), date(2025, 2, 28), 366),
        (date(2024, 2, 29), date(2025, 3, 1), 366),  # the day does not come back, the next one does
        (date(2023, 2, 28), date(2024, 2, 28), 365),
    ],
)
def test_a_year_of_cover(start: date, end: date, days: int) -> None:
    assert Term(years=1).end(start, {}) == end
    assert (end - start).days == days


@given(st.dates(date(2000, 1, 1), date(2200, 1, 1)))
def test_a_year_of_cover_has_365_or_366_days(start: date) -> None:
    assert (Term(years=1).end(start, {}) - start).days in (365, 366)


def test_a_trip_is_covered_for_its_days() -> None:
    trip = calculate("travel", trip_days=10).risk
    assert (trip.starts_on, trip.ends_on) == (date(2026, 11, 24), date(2026, 12, 4))


def test_cover_begins_today_where_the_product_is_sold() -> None:
    """In Maputo it is two hours later than in UTC: at 22:30 UTC, tomorrow has begun."""
    late = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
    assert calculate("home", late).risk.starts_on == date(2026, 11, 25)
    assert calculate("motor", late).risk.starts_on == date(2026, 11, 24)


@pytest.mark.parametrize("days", [0, 1, 60])
def test_start_date_may_be_today_or_up_to_60_days_ahead(days: int) -> None:
    start = date(2026, 11, 24) + timedelta(days=days)
    assert tariff("motor").price(Risk(ANSWERS["motor"], (), start), NOW).starts_on == start


@pytest.mark.parametrize("days", [-1, 61])
def test_start_date_in_the_past_or_too_far_ahead_is_refused(days: int) -> None:
    start = date(2026, 11, 24) + timedelta(days=days)
    with pytest.raises(StartDateInvalid) as caught:
        tariff("motor").price(Risk(ANSWERS["motor"], (), start), NOW)
    assert caught.value.metadata == {"earliest": "2026-11-24", "latest": "2027-01-23"}


@pytest.mark.parametrize("days_ahead", [0, 30, 180])
def test_how_far_ahead_cover_may_begin_is_said_by_the_product(days_ahead: int) -> None:
    product = tariff("motor").product
    narrow = compile_tariff(replace(product, cover=replace(product.cover, latest_days=days_ahead)))
    latest = date(2026, 11, 24) + timedelta(days=days_ahead)
    assert narrow.first_day(latest, NOW) == latest
    with pytest.raises(StartDateInvalid) as caught:
        narrow.first_day(latest + timedelta(days=1), NOW)
    assert caught.value.metadata == {"earliest": "2026-11-24", "latest": str(latest)}


def test_a_stored_quote_can_be_rated_again_to_the_same_breakdown() -> None:
    stored = quotes.quote_from_row(_as_stored(make_quote(claims_5_years=1)))
    assert tariff("motor").rate(stored.answers, stored.coverages, NOW.date()) == stored.price


def test_a_quote_comes_back_from_its_row_as_it_was() -> None:
    made = make_quote()
    assert quotes.quote_from_row(_as_stored(made)) == made


def _as_stored(made: Quote) -> SimpleNamespace:
    """The quote as its row, with a column for each attribute."""
    return SimpleNamespace(**quotes.row_from_quote(made))
