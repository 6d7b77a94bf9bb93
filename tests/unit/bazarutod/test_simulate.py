"""What is decided beforehand of a simulated book, and what is made of its figures."""

from __future__ import annotations

from collections import Counter
from datetime import date
from random import Random

import pytest

from bazarutod.simulate.lives import Deed, Paying, lives_of
from bazarutod.simulate.money import minor, text
from bazarutod.simulate.risks import PRODUCTS, change_of, risk_of
from bazarutod.simulate.year import day_after

TODAY = date(2027, 1, 1)


def test_same_seed_gives_the_same_lives() -> None:
    assert lives_of(200, 12, 5) == lives_of(200, 12, 5)
    assert lives_of(200, 12, 5) != lives_of(200, 12, 6)


def test_more_policies_leave_the_lives_of_the_first_ones_as_they_were() -> None:
    assert lives_of(300, 12, 5)[:50] == lives_of(50, 12, 5)


def test_small_book_has_every_product_and_every_way_of_paying() -> None:
    lives = lives_of(len(PRODUCTS), 3, 1)
    assert {life.product for life in lives} == set(PRODUCTS)
    assert {life.paying for life in lives} == set(Paying)


def test_large_book_has_every_deed() -> None:
    counts = Counter(event.deed for life in lives_of(300, 14, 1) for event in life.events)
    assert set(counts) == set(Deed)


def test_what_is_insured_and_changed_is_the_same_for_the_same_dice() -> None:
    for product in PRODUCTS:
        risks = [risk_of(product, 7, Random(3), TODAY) for _ in range(2)]
        assert risks[0] == risks[1]
        insured = {"coverages": risks[0]["coverages"]}
        assert change_of(product, 7, Random(3), insured, TODAY) == change_of(product, 7, Random(3), insured, TODAY)


def test_no_two_policies_insure_the_same_object() -> None:
    fields = [
        (product, item["fields"][name])
        for number in range(1, 400)
        for product in PRODUCTS
        for item in risk_of(product, number, Random(number), TODAY)["objects"]
        for name in ("plate", "address", "serial_number", "passport", "health_number", "tax_number")
        if name in item["fields"]
    ]
    assert len(fields) == len(set(fields))


@pytest.mark.parametrize(
    ("months", "expected"), [(1, date(2027, 2, 1)), (12, date(2028, 1, 1)), (14, date(2028, 3, 1))]
)
def test_months_are_counted_by_the_calendar(months: int, expected: date) -> None:
    assert day_after(TODAY, months) == expected


def test_amounts_are_read_in_hundredths() -> None:
    assert minor({"units": "-12", "nanos": -340_000_000, "currencyCode": "EUR"}) == -1234
    assert minor(None) == 0
    assert text(-123456) == "-1,234.56"
