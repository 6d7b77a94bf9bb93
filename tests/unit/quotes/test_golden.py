"""Golden risks are priced as the file says, or named with what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.rating.rules import golden
from services.quotes.rating.rules.golden import Difference, GoldenRiskChanged, differences
from tests.unit.quotes import fleet
from tests.unit.quotes.samples import small, small_tariff

RISK = {"start_date": "2026-12-01", "answers": {"area": 100, "roof": "tile", "dog": False}}
# 1.25 for each square metre, 17 % tax, and a fee of 2.50
COSTS = "148.75"


def risks(*expected: str, **changes: Any) -> list[Document]:
    """Golden risks with these expected totals, called `first`, `second` and so on."""
    names = ("first", "second", "third")
    return [
        {"name": name, "expected_total": total, **RISK, **changes} for name, total in zip(names, expected, strict=False)
    ]


def test_risks_that_cost_what_the_file_says_differ_in_nothing() -> None:
    assert differences(small_tariff(golden_risks=risks(COSTS, COSTS))) == []
    golden.check(read(small(lambda document: document.update(golden_risks=risks(COSTS)))))


def test_each_risk_with_another_price_is_named() -> None:
    product = read(small(lambda document: document.update(golden_risks=risks("148.74", COSTS, "1.00"))))
    with pytest.raises(GoldenRiskChanged) as caught:
        golden.check(product)
    assert caught.value.metadata == {"risk": "first", "expected": "148.74 EUR", "actual": "148.75 EUR"}
    assert caught.value.message == "first costs 148.75 EUR, not 148.74 EUR; third costs 148.75 EUR, not 1.00 EUR"


def test_coverages_of_a_golden_risk_are_the_ones_that_it_chooses() -> None:
    chosen = [{"code": "house", "deductible": "0.00"}, {"code": "garden", "limit": "2000.00"}]
    (found,) = differences(small_tariff(golden_risks=risks("0.00", coverages=chosen)))
    assert found.actual == "201.40 EUR"  # (125.00 × 1.20 + 20.00) × 1.17 + 2.50


def test_risk_that_has_no_price_is_named_with_the_reason() -> None:
    wrong = risks(COSTS, answers={"area": 5000, "roof": "tile", "dog": False})
    assert differences(small_tariff(golden_risks=wrong)) == [Difference("first", "148.75 EUR", "ANSWER_INVALID")]


def test_objects_of_a_golden_risk_are_priced() -> None:
    (found,) = differences(fleet.tariff(lambda document: document["golden_risks"][0].update(expected_total="1.00")))
    assert found.risk == "two cars"
    assert found.actual.endswith(" EUR")
    assert (
        differences(fleet.tariff(lambda d: d["golden_risks"][0].update(expected_total=found.actual.split()[0]))) == []
    )
