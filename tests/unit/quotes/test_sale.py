"""Sales of versions: one version is sold on a day, and no decision changes what was sold before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import FieldInvalid
from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.rules import sale
from services.quotes.catalogue.rules.sale import Sale, SaleOverlap, begin, sold_on, successor_of, withdraw
from services.quotes.catalogue.rules.version import State, Version
from tests.unit.quotes.samples import small

SMALL = replace(read(small()), on_sale_from=date(2026, 1, 1))
TODAY = date(2026, 5, 10)
YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
DAYS = st.sampled_from(YEAR)


def sold(sales: list[Sale], day: date) -> int | None:
    found = sold_on(sales, day)
    return found.version if found else None


def test_version_that_began_last_is_sold() -> None:
    sales = [Sale(3, date(2026, 9, 1)), Sale(1, date(2026, 1, 1)), Sale(2, date(2026, 6, 1))]
    assert [sold(sales, date(2026, month, day)) for month, day in ((1, 1), (5, 31), (6, 1), (8, 31), (9, 1))] == [
        1, 1, 2, 2, 3,
    ]  # fmt: skip
    assert sold(sales, date(2025, 12, 31)) is None


def test_of_two_that_began_on_one_day_the_higher_version_is_sold() -> None:
    assert sold([Sale(2, TODAY), Sale(1, TODAY)], TODAY) == 2


def test_what_was_replaced_does_not_come_back() -> None:
    sales = [Sale(1, date(2026, 1, 1)), Sale(2, date(2026, 6, 1), date(2026, 7, 1))]
    assert sold(sales, date(2026, 6, 30)) == 2
    assert sold(sales, date(2026, 7, 1)) is None


def test_version_that_was_withdrawn_before_it_began_replaces_nothing() -> None:
    planned = withdraw(Sale(2, date(2026, 6, 1)), date(2026, 5, 20), TODAY, None)
    assert sold([Sale(1, date(2026, 1, 1)), planned], date(2026, 6, 2)) == 1


def test_sale_begins_on_the_day_of_the_file_that_is_not_over() -> None:
    assert begin(SMALL, None, TODAY, []).starts_on == TODAY
    assert begin(SMALL, None, date(2025, 12, 1), []).starts_on == date(2026, 1, 1)
    assert begin(SMALL, date(2026, 8, 1), TODAY, []) == Sale(1, date(2026, 8, 1))


@pytest.mark.parametrize("asked", [date(2026, 5, 9), date(2026, 7, 1)])
def test_sale_cannot_begin_on_a_day_that_is_over_or_after_its_end(asked: date) -> None:
    with pytest.raises(FieldInvalid, match="start_date"):
        begin(replace(SMALL, on_sale_until=date(2026, 7, 1)), asked, TODAY, [])


@pytest.mark.parametrize(
    "other",
    [
        Sale(7, date(2026, 6, 1)),  # begins on the same day
        Sale(7, date(2026, 1, 1), date(2026, 6, 2)),  # keeps its last day
        Sale(7, date(2026, 6, 20)),  # begins before this one is over
    ],
)
def test_sale_beside_another_one_is_refused(other: Sale) -> None:
    product = replace(SMALL, on_sale_until=date(2026, 7, 1))
    with pytest.raises(SaleOverlap) as caught:
        begin(product, date(2026, 6, 1), TODAY, [Sale(6, date(2026, 1, 1)), other])
    assert caught.value.metadata["version"] == "7"
    assert caught.value.metadata["from"] == str(other.starts_on)


@pytest.mark.parametrize(
    "other",
    [
        Sale(7, date(2026, 1, 1), date(2026, 6, 1)),  # over when this one begins
        Sale(7, date(2026, 7, 1)),  # begins when this one is over
        Sale(7, date(2026, 6, 1), date(2026, 6, 1)),  # was withdrawn before it began
    ],
)
def test_sales_one_after_another_fit(other: Sale) -> None:
    product = replace(SMALL, on_sale_until=date(2026, 7, 1))
    assert begin(product, date(2026, 6, 1), TODAY, [other]).ends_on == date(2026, 7, 1)


def test_withdrawal_only_ever_shortens_a_sale() -> None:
    ended = withdraw(Sale(1, date(2026, 1, 1), date(2026, 4, 1)), date(2026, 6, 1), TODAY, 2)
    assert ended == Sale(1, date(2026, 1, 1), date(2026, 4, 1), renew_with=2)
    assert withdraw(ended, None, TODAY, None) == ended


def test_withdrawal_on_a_day_that_is_over_or_for_itself_is_refused() -> None:
    with pytest.raises(FieldInvalid, match="end_date"):
        withdraw(Sale(1, date(2026, 1, 1)), TODAY - timedelta(days=1), TODAY, None)
    with pytest.raises(FieldInvalid, match="renew_with"):
        withdraw(Sale(1, date(2026, 1, 1)), TODAY, TODAY, 1)


@given(st.lists(st.tuples(st.booleans(), DAYS, st.none() | DAYS), max_size=12), DAYS)
def test_no_decision_changes_what_is_sold_on_the_days_before_it(
    decisions: list[tuple[bool, date, date | None]], today: date
) -> None:
    sales: dict[int, Sale] = {}
    for number, (publishes, day, until) in enumerate(sorted(decisions, key=lambda one: one[1]), 1):
        today = max(today, day)
        before = [sold(list(sales.values()), one) for one in YEAR if one < today]
        try:
            if publishes or not sales:
                product = replace(SMALL, version=number, on_sale_until=until)
                sales[number] = begin(product, day if day >= today else None, today, list(sales.values()))
            else:
                version = min(sales)
                sales[version] = withdraw(sales[version], until if until and until >= today else None, today, None)
        except (SaleOverlap, FieldInvalid):
            continue
        assert [sold(list(sales.values()), one) for one in YEAR if one < today] == before
        days = [one for one in YEAR for item in sales.values() if _has_for_itself(item, one, sales)]
        assert len(days) == len(set(days))


def _has_for_itself(item: Sale, day: date, sales: dict[int, Sale]) -> bool:
    """Whether a day is one of a sale with a last day: no other version may begin within these."""
    return (
        item.ends_on is not None
        and item.starts_on <= day < item.ends_on
        and sold(list(sales.values()), day) == item.version
    )


def test_version_says_how_far_it_has_come() -> None:
    first, second, third = Sale(1, date(2026, 1, 1)), Sale(2, date(2026, 5, 1)), Sale(3, date(2026, 6, 1))
    sales = [first, second, third, Sale(4, date(2026, 7, 1), date(2026, 7, 1))]
    states = [Version("small", item.version, sale=item).state(TODAY, sales) for item in sales]
    assert states == [State.OFF_SALE, State.ON_SALE, State.SCHEDULED, State.OFF_SALE]
    assert Version("small", 5).state(TODAY, sales) is State.DRAFT


def test_sale_of_a_file_has_its_days() -> None:
    assert sale.of_file(replace(SMALL, on_sale_until=date(2027, 1, 1))) == Sale(1, date(2026, 1, 1), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("sales", "successor"),
    [
        ([Sale(1, date(2026, 1, 1))], 1),
        ([Sale(1, date(2026, 1, 1)), Sale(2, date(2026, 4, 1))], 2),
        ([Sale(1, date(2026, 1, 1)), Sale(2, date(2026, 6, 1))], 1),
        ([Sale(1, date(2026, 1, 1), date(2026, 4, 1), renew_with=3), Sale(2, date(2026, 4, 1))], 3),
        ([Sale(1, date(2026, 1, 1), date(2026, 9, 1), renew_with=3)], 1),  # it is still sold
        ([Sale(1, date(2026, 1, 1), date(2026, 4, 1))], None),
        ([Sale(1, TODAY, TODAY, renew_with=2), Sale(2, TODAY, TODAY, renew_with=4)], 4),
        ([Sale(1, TODAY, TODAY, renew_with=2), Sale(2, TODAY, TODAY, renew_with=1)], None),
    ],
)
def test_term_is_renewed_with_what_a_withdrawn_version_names_or_else_with_what_is_sold(
    sales: list[Sale], successor: int | None
) -> None:
    assert successor_of(sales, 1, TODAY) == successor
