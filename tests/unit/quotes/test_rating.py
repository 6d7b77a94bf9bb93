"""Prices: worked out by hand where they are small, and by what must hold of every price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import Money, round_half_even
from libs.premium import Coverage, LineKind
from services.quotes.rating.rules.price import Price, half_even
from services.quotes.rating.rules.pricing import Tariff
from tests.unit.quotes.samples import SHIPPED, calculate, small_tariff, tariff

DAY = date(2026, 11, 24)


def rate(product: Tariff, coverages: list[Coverage] | None = None, **answers: Any) -> Price:
    return product.rate(answers, product.choose(coverages or []), DAY)


def amounts(price: Price) -> dict[str, int]:
    return {step.name: step.amount for step in price.steps}


@st.composite
def risks(draw: st.DrawFn, code: str) -> tuple[dict[str, Any], tuple[Coverage, ...]]:
    """Any answers and any choice of coverages that a product accepts."""
    product = tariff(code).product
    answers: dict[str, Any] = {}
    for question in product.questions:
        if question.type == "integer":
            answers[question.code] = draw(st.integers(int(question.minimum or 0), int(question.maximum or 0)))
        elif question.type == "boolean":
            answers[question.code] = draw(st.booleans())
        else:
            answers[question.code] = draw(st.sampled_from(question.choices))
    coverages = []
    for offer in product.coverages:
        if draw(st.booleans()):
            limit, deductible = (
                draw(st.sampled_from([None, *(Money.parse(str(a), product.currency) for a in offered)]))
                for offered in (offer.limits, offer.deductibles)
            )
            coverages.append(Coverage(offer.code, limit, deductible))
    return answers, tariff(code).choose(coverages)


any_risk = st.sampled_from(SHIPPED).flatmap(lambda code: st.tuples(st.just(code), risks(code)))


def test_every_step_is_explained_and_rounded_by_itself() -> None:
    product = small_tariff()
    price = rate(product, [Coverage("garden", Money(2000_00, "EUR"))], area=150, roof="straw", dog=True)
    assert tuple(step[:5] for step in price.steps) == (
        ("house_base", "base", "house", "150", 187_50),
        ("garden_base", "base", "garden", "0.01", 20_00),
        ("deductible", "factor", "house", "1.00", 0),
        ("roof", "factor", "", "1.85", 176_38),  # 207.50 x 1.85 = 383.875, to the even cent
        ("dog", "discount", "", "0.05", -19_20),  # of the exact 383.875: 364.68125
        ("large", "loading", "", "0.10", 36_47),  # 401.149375
        ("tax", "tax", "", "0.17", 68_20),  # of the rounded 401.15
        ("fee", "fee", "", "", 2_50),
    )
    assert (price.net, price.tax, price.fees, price.total) == (401_15, 68_20, 2_50, 471_85)


def test_travel_for_an_adult_and_a_child() -> None:
    """26 for each adult and 26 for each person: 26 + 52 = 78."""
    product = small_tariff(
        questions=[
            {"code": code, "text": "How many?", "type": "integer", "minimum": 0, "maximum": 9}
            for code in ("adults", "children")
        ],
        coverages=[{"code": code, "display_name": code, "mandatory": True} for code in ("c1", "c2")],
        rating=[
            {"name": "c1", "kind": "base", "coverages": ["c1"], "amount": "26", "per": ["adults"]},
            {"name": "c2", "kind": "base", "coverages": ["c2"], "amount": "26", "per": ["adults", "children"]},
        ],
        underwriting=[],
    )
    price = rate(product, adults=1, children=1)
    assert (amounts(price), price.net) == ({"c1": 26_00, "c2": 52_00}, 78_00)


def test_a_flat_by_its_area() -> None:
    """95 m2 at 1.25 and at 0.25, and 30: 118.75 + 23.75 + 30 = 172.50."""
    product = small_tariff(
        questions=[{"code": "area", "text": "How large?", "type": "integer", "minimum": 1, "maximum": 1000}],
        coverages=[{"code": code, "display_name": code, "mandatory": True} for code in ("c1", "c2", "c3")],
        rating=[
            {"name": "c1", "kind": "base", "coverages": ["c1"], "amount": "1.25", "per": ["area"]},
            {"name": "c2", "kind": "base", "coverages": ["c2"], "amount": "0.25", "per": ["area"]},
            {"name": "c3", "kind": "base", "coverages": ["c3"], "amount": "30"},
        ],
        underwriting=[],
    )
    price = rate(product, area=95)
    assert (amounts(price), price.net) == ({"c1": 118_75, "c2": 23_75, "c3": 30_00}, 172_50)


@pytest.mark.parametrize(("net", "tax", "due"), [("1200.00", "0.17", 204_00), ("1234.56", "0.005", 6_17)])
def test_tax_is_on_the_premium_without_fees(net: str, tax: str, due: int) -> None:
    product = small_tariff(
        questions=[],
        coverages=[{"code": "c1", "display_name": "C1", "mandatory": True}],
        rating=[
            {"name": "c1", "kind": "base", "coverages": ["c1"], "amount": net},
            {"name": "fee", "kind": "fee", "amount": "25.00"},
            {"name": "tax", "kind": "tax", "rate": tax},
        ],
        underwriting=[],
    )
    price = rate(product)
    assert (price.tax, price.fees) == (due, 25_00)
    assert price.total == Money.parse(net, "EUR").minor + due + 25_00


def test_minimum_premium_lifts_a_small_premium_and_is_no_step_of_a_large_one() -> None:
    product = small_tariff()
    little = rate(product, area=10, roof="tile", dog=False)
    assert (little.net, amounts(little)["minimum"]) == (50_00, 37_50)
    assert "minimum" not in amounts(rate(product, area=500, roof="tile", dog=False))


def test_a_step_whose_condition_does_not_hold_is_no_line() -> None:
    product = small_tariff()
    assert "dog" not in amounts(rate(product, area=100, roof="tile", dog=False))


def test_yen_have_no_cents() -> None:
    product = small_tariff(
        currency="JPY",
        questions=[],
        coverages=[{"code": "c1", "display_name": "C1", "mandatory": True}],
        rating=[
            {"name": "c1", "kind": "base", "coverages": ["c1"], "amount": "1001"},
            {"name": "half", "kind": "factor", "rate": "0.5"},
        ],
        underwriting=[],
    )
    assert rate(product).net == 500  # 500.5 goes to the even one


@given(any_risk)
def test_amounts_of_a_breakdown_add_up_to_the_cent(risk: tuple[str, Any]) -> None:
    code, (answers, coverages) = risk
    price = tariff(code).rate(answers, coverages, DAY)
    by_kind = {kind: sum(step.amount for step in price.steps if step.kind == kind) for kind in ("tax", "fee")}
    assert sum(step.amount for step in price.steps) == price.total
    assert by_kind == {"tax": price.tax, "fee": price.fees}


@given(any_risk)
def test_price_is_never_below_the_minimum_premium(risk: tuple[str, Any]) -> None:
    code, (answers, coverages) = risk
    product = tariff(code).product
    least = next(step.amount for step in product.rating if step.kind == "minimum")
    assert least is not None
    assert tariff(code).rate(answers, coverages, DAY).net >= Money.parse(str(least), product.currency).minor


@given(
    st.sampled_from([("motor", "vehicle_value"), ("home", "building_value"), ("home", "contents_value")]).flatmap(
        lambda about: st.tuples(st.just(about), risks(about[0]), st.data())
    )
)
def test_a_larger_sum_never_costs_less(drawn: Any) -> None:
    (code, question), (answers, coverages), data = drawn
    asked = next(asked for asked in tariff(code).product.questions if asked.code == question)
    larger = data.draw(st.integers(answers[question], int(asked.maximum or 0)))
    assert (
        tariff(code).rate({**answers, question: larger}, coverages, DAY).total
        >= tariff(code).rate(answers, coverages, DAY).total
    )


@given(any_risk)
def test_the_compiled_price_is_that_of_plain_fractions(risk: tuple[str, Any]) -> None:
    """The same steps once more, slowly, with nothing compiled and nothing scaled."""
    code, (answers, coverages) = risk
    assert tariff(code).rate(answers, coverages, DAY).net == _slow_net(code, answers, coverages)


def _slow_shares(code: str, answers: dict[str, Any], coverages: tuple[Coverage, ...]) -> list[Fraction]:
    """The part of the whole that each coverage starts with, in their order."""
    values = _slow_values(code, answers, coverages)
    return [values[coverage.code] / sum(values.values()) for coverage in coverages]


def _slow_values(code: str, answers: dict[str, Any], coverages: tuple[Coverage, ...]) -> dict[str, Fraction]:
    chosen = {coverage.code: coverage for coverage in coverages}
    values: dict[str, Fraction] = {}
    for step in tariff(code).product.rating:
        if any(not _holds(answers[question], test) for question, test in step.when.items()):
            continue
        for coverage in [chosen[name] for name in step.coverages if name in chosen]:
            if step.kind == "base":
                values[coverage.code] = _slow_base(step, answers, coverage)
            else:
                values[coverage.code] *= _slow_factor(step, answers, coverage)
    return values


def _slow_net(code: str, answers: dict[str, Any], coverages: tuple[Coverage, ...]) -> int:
    values = _slow_values(code, answers, coverages)
    whole = Fraction(1)
    least = 0
    for step in tariff(code).product.rating:
        if any(not _holds(answers[question], test) for question, test in step.when.items()):
            continue
        if step.kind == "minimum":
            least = int(Fraction(step.amount or 0) * 100)
        if not step.coverages and step.kind in ("factor", "discount", "loading"):
            whole *= _slow_factor(step, answers, None)
    return max(least, round_half_even(sum(values.values(), Fraction(0)) * whole))


def _slow_base(step: Any, answers: dict[str, Any], coverage: Coverage) -> Fraction:
    if step.amount is not None:
        count = sum(answers[question] for question in step.per) if step.per else 1
        return Fraction(step.amount) * 100 * count
    if step.of == "limit":
        assert coverage.limit is not None
        return Fraction(step.rate) * coverage.limit.minor
    return Fraction(step.rate) * 100 * int(answers[step.of])


def _slow_factor(step: Any, answers: dict[str, Any], coverage: Coverage | None) -> Fraction:
    value = Fraction(step.rate if step.rate is not None else _slow_row(step, answers, coverage))
    return {"factor": value, "discount": 1 - value, "loading": 1 + value}[step.kind]


def _slow_row(step: Any, answers: dict[str, Any], coverage: Coverage | None) -> Decimal:
    for row, value in step.table.items():
        first, _, last = row.partition("..")
        if step.by in ("limit", "deductible"):
            amount = getattr(coverage, step.by)
            applies = Money.parse(row, amount.currency) == amount
        elif isinstance(answer := answers[step.by], int) and not isinstance(answer, bool):
            applies = int(first) <= answer <= int(last or first)
        else:
            applies = row == (str(answer).lower() if isinstance(answer, bool) else answer)
        if applies:
            return Decimal(value)
    raise AssertionError(f"{step.name} has no row for its answer")


def _holds(answer: Any, test: Any) -> bool:
    return (
        (test.equals is None or answer == test.equals)
        and (not test.one_of or answer in test.one_of)
        and (test.at_least is None or answer >= test.at_least)
        and (test.at_most is None or answer <= test.at_most)
    )


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_half_even_is_the_rounding_of_money(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round_half_even(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("code", "price"),
    [
        ("home", ("MZN", 15_985_33, 2_717_51, 350_00)),
        ("motor", ("EUR", 549_95, 63_25, 12_50)),
        ("travel", ("USD", 145_00, 24_65, 0)),
    ],
)
def test_price_of_the_usual_risk_is_pinned(code: str, price: tuple[str, int, int, int]) -> None:
    """A published version never changes what it charges: whoever breaks this needs a new version of the product."""
    assert calculate(code).risk.price[:4] == price


@given(any_risk)
def test_lines_add_up_to_net_tax_and_fees(risk: tuple[str, Any]) -> None:
    code, (answers, coverages) = risk
    price = tariff(code).rate(answers, coverages, DAY)
    by_kind = {kind: sum(line.amount for line in price.lines if line.kind is kind) for kind in LineKind}
    assert by_kind == {"premium": price.net, "tax": price.tax, "fee": price.fees, "retention": 0}


@given(any_risk)
def test_each_coverage_bears_its_share_of_the_net_to_the_cent(risk: tuple[str, Any]) -> None:
    code, (answers, coverages) = risk
    price = tariff(code).rate(answers, coverages, DAY)
    shares = _slow_shares(code, answers, coverages)
    lines = [line for line in price.lines if line.kind is LineKind.PREMIUM]
    assert [line.coverage_code for line in lines] == [coverage.code for coverage in coverages]
    assert all(abs(line.amount - price.net * share) < 1 for line, share in zip(lines, shares, strict=True))


def test_minimum_of_nothing_is_borne_by_the_first_mandatory_coverage() -> None:
    product = small_tariff(
        questions=[],
        coverages=[
            {"code": "free", "display_name": "Free"},
            {"code": "c1", "display_name": "C1", "mandatory": True},
        ],
        rating=[
            {"name": "free", "kind": "base", "coverages": ["free"], "amount": "0.00"},
            {"name": "c1", "kind": "base", "coverages": ["c1"], "amount": "0.00"},
            {"name": "minimum", "kind": "minimum", "amount": "50.00"},
        ],
        underwriting=[],
    )
    price = rate(product, [Coverage("free")])
    assert [(line.coverage_code, line.amount) for line in price.lines] == [("free", 0), ("c1", 50_00)]
    assert [line.amount for line in rate(product).lines] == [50_00]


def test_premium_is_earned_over_the_term_and_tax_and_fees_at_once() -> None:
    start, end = date(2026, 11, 24), date(2027, 11, 24)
    charges = rate(small_tariff(), area=100, roof="tile", dog=False).charges(start, end)
    assert [(line.kind, line.coverage_code, line.charge_code, line.amount.minor) for line in charges] == [
        ("premium", "house", "", 125_00),
        ("tax", "", "tax", 21_25),
        ("fee", "", "fee", 2_50),
    ]
    assert [(line.starts_on, line.ends_on, line.commissionable) for line in charges] == [
        (start, end, True),
        (start, start, False),
        (start, start, False),
    ]
