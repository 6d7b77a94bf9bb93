"""What a simulation makes of its figures: charts, a page, and what it says when something is wrong."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from bazarutod.simulate.charts import Series, bars, lines, stacks
from bazarutod.simulate.figures import Money, Month, has_term
from bazarutod.simulate.page import page_of
from bazarutod.simulate.proving import Violated, check_balance, check_ledger

MONTHS = ["2027-01", "2027-02", "2027-03"]
REPORT: dict[str, Any] = {
    "policies": 3,
    "months": 3,
    "seed": 9,
    "first_day": "2027-01-01",
    "wrong": "",
    "seconds": {"all": 12.0},
    "by_month": [{}, {}, {}],
    "done": {"bought": 3},
    "refused": [{"deed": "endorse", "reason": "CHANGE_EMPTY", "times": 1}],
}


def months() -> list[Month]:
    money = {"EUR": Money(written=12345, earned=-100, cash=500)}
    changes = {"endorsement": 2, "lapse": 1}
    return [Month(month, money, {"in_force": 3}, changes, due=2, renewed=1, covered_before=4) for month in MONTHS]


@pytest.mark.parametrize("draw", [bars, lines])
@pytest.mark.parametrize("values", [[1.0, -2.5, 1e6], [0.0, 0.0, 0.0], [None, 3.0, None]])
def test_chart_is_well_formed_and_within_its_frame(draw: Any, values: list[float | None]) -> None:
    svg, _, _ = draw(MONTHS, [Series("one & two", values), Series("three", [1.0, 1.0, 1.0])]).partition("<p class")
    root = ElementTree.fromstring(svg)
    for shape in root.iter():
        for name in ("y", "y1", "cy"):
            assert 0 <= float(shape.get(name, 0)) <= 240


def test_stacked_bars_end_where_the_next_ones_begin() -> None:
    svg, _, _ = stacks(MONTHS, [Series("one", [1.0, 0.0, 3.0]), Series("two", [1.0, 4.0, None])]).partition("<p class")
    shapes = [shape for shape in ElementTree.fromstring(svg).iter() if shape.tag.endswith("rect")]
    assert [shape.get("class") for shape in shapes] == ["s0", "s0", "s1", "s1"]
    x, y, height = ([float(shape.get(name, "")) for shape in shapes] for name in ("x", "y", "height"))
    assert x[2] == x[0]
    assert y[2] + height[2] == pytest.approx(y[0], abs=0.11)
    assert [round(of / height[0], 1) for of in height] == [1, 3, 1, 4]


def test_page_shows_every_currency_and_month_and_needs_nothing_from_elsewhere() -> None:
    page = page_of(REPORT, months())
    for text in ("EUR", *MONTHS, "123.45", "in force", "endorsement", "50.0 %", "CHANGE_EMPTY", "seed 9"):
        assert text in page
    for word in ("http", "src=", "@import", "<script"):
        assert word not in page


def test_page_says_what_was_wrong() -> None:
    page = page_of({**REPORT, "wrong": "policy <1> differs", "by_month": []}, [])
    assert "policy &lt;1&gt; differs" in page


def line(item: str, billed: int, booked: int) -> dict[str, Any]:
    amounts = {"billed": billed, "booked": booked, "difference": billed - booked}
    return {"item": item, **{name: {"units": str(amount), "currencyCode": "EUR"} for name, amount in amounts.items()}}


def test_policy_whose_bill_and_books_differ_is_named_with_the_item() -> None:
    right = [line("ITEM_PREMIUM", 100, 100), line("ITEM_EARNED", 40, 40), line("ITEM_UNEARNED", 60, 60)]
    check_ledger("policy P-1", {"lines": right})
    with pytest.raises(Violated, match=r"policy P-1: ITEM_OPEN is billed as 7\.00 and booked as 8\.00"):
        check_ledger("policy P-1", {"lines": [*right, line("ITEM_OPEN", 7, 8)]})


def test_what_is_written_is_earned_or_unearned() -> None:
    lines_of = [line("ITEM_PREMIUM", 100, 100), line("ITEM_EARNED", 40, 40), line("ITEM_UNEARNED", 59, 59)]
    with pytest.raises(Violated, match=r"100\.00 is written, and 99\.00 is earned and unearned"):
        check_ledger("policy P-1", {"lines": lines_of})


@pytest.mark.parametrize(
    ("types", "is_kept"),
    [
        (("NEW_BUSINESS",), False),
        (("NEW_BUSINESS", "RENEWAL"), True),
        (("NEW_BUSINESS", "RENEWAL", "ACTIVATION"), True),
        (("NEW_BUSINESS", "RENEWAL", "NOT_TAKEN"), False),
        (("NEW_BUSINESS", "RENEWAL", "REVERSAL"), False),
        (("NEW_BUSINESS", "RENEWAL", "REVERSAL", "RENEWAL"), True),
    ],
)
def test_policy_is_kept_by_a_renewal_that_stands(types: tuple[str, ...], is_kept: bool) -> None:
    stack = [
        {
            "transactionId": f"ptx_{number}",
            "type": f"TYPE_{name}",
            "termNumber": min(number, 2),
            "reversesTransactionId": f"ptx_{number - 1}" if name == "REVERSAL" else "",
        }
        for number, name in enumerate(types, 1)
    ]
    assert has_term(stack, 2) is is_kept


def test_trial_balance_that_is_not_zero_is_told() -> None:
    check_balance({"differences": [{"currencyCode": "EUR"}]})
    with pytest.raises(Violated, match=r"differs by 0\.01 EUR"):
        check_balance({"differences": [{"currencyCode": "EUR", "nanos": 10_000_000}]})
