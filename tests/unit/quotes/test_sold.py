"""The products that are sold: what they ask, what they cost, and that newer versions charge what older ones did."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.quotes.rating.rules.price import Price
from services.quotes.rating.rules.pricing import Risk
from tests.unit.quotes import sold


def test_six_products_are_sold() -> None:
    assert sorted({code for code, _ in sold.products()}) == list(sold.CODES)
    assert {code for code, version in sold.products() if version == 2} == {"home", "motor", "travel"}


@pytest.mark.parametrize("code", sold.CODES)
def test_each_has_objects_checks_taxes_fees_and_all_rules_of_sold_policies(code: str) -> None:
    product = sold.newest(code)
    assert all((product.objects, product.checks, product.taxes, product.fees, product.cancellation))
    assert all((product.change, product.reinstatement, product.dunning, product.billing, product.claims))
    assert (product.renewal is None) == bool(product.term.days)
    assert any(kind.identifier for kind in product.objects)
    assert product.claims is not None
    assert set(product.claims.coverages) <= {offer.code for offer in product.coverages}


@pytest.mark.parametrize("code", sold.CODES)
def test_golden_risks_cost_what_the_file_says(code: str) -> None:
    product = sold.newest(code)
    assert len(product.golden_risks) >= 3
    for golden in product.golden_risks:
        priced = sold.calculator(code).tariff.price_from(sold.risk_of(golden, product.currency), golden.start_date)
        assert priced.price.total == Money.parse(str(golden.expected_total), product.currency).minor, golden.name


def first(code: str, answers: dict[str, Any], coverages: list[Coverage]) -> Price:
    tariff = sold.calculator(code, 1).tariff
    return tariff.price_from(Risk(answers, coverages), sold.DAY).price


def second(code: str, answers: dict[str, Any], objects: list[InsuredObject], coverages: list[Coverage]) -> Price:
    tariff = sold.calculator(code, 2).tariff
    return tariff.price_from(Risk(answers, coverages, objects=objects), sold.DAY).price


def same(one: Price, other: Price) -> None:
    """The same amounts, for each coverage, tax and fee."""
    assert (one.net, one.tax, one.fees) == (other.net, other.tax, other.fees)
    sums: list[dict[str, int]] = []
    for price in (one, other):
        by_code: dict[str, int] = {}
        for line in price.lines:
            key = line.coverage_code or line.charge_code
            by_code[key] = by_code.get(key, 0) + line.amount
        sums.append(by_code)
    # A coverage of several travellers is allotted to each, so that its sum can differ by a unit for each of them.
    assert sums[0].keys() == sums[1].keys()
    assert all(abs(sums[0][key] - sums[1][key]) <= len(other.lines) - len(one.lines) for key in sums[0])


def chosen(code: str, draw: Any) -> list[Coverage]:
    offers = sold.newest(code).coverages
    return [Coverage(offer.code) for offer in offers if draw(st.booleans())] or [Coverage(offers[0].code)]


@given(st.data())
def test_car_costs_what_it_cost_without_its_plate(data: st.DataObject) -> None:
    draw = data.draw
    age, vehicle_age = draw(st.integers(18, 99)), draw(st.integers(0, 40))
    claims = draw(st.integers(0, 4))
    answers = {
        "licence_years": draw(st.integers(0, min(age - 16, 80))),
        "annual_km": draw(st.integers(0, 100_000)),
        "region": draw(st.sampled_from(["lisbon", "porto", "coast", "inland", "islands"])),
        "use": draw(st.sampled_from(["private", "commuting", "business", "taxi"])),
        "claims_5_years": claims,
        "claim_free_years": draw(st.integers(0, 4 if claims else 60)),
        "garage": draw(st.booleans()),
        "telematics": draw(st.booleans()),
    }
    value, power = draw(st.integers(500, 250_000)), draw(st.integers(10, 600))
    car, driver = sold.OBJECTS["motor"]
    objects = [
        InsuredObject(
            "",
            "vehicle",
            {
                **car.fields,
                "value": f"{value}.00",
                "engine_power": power,
                "first_registered": str(sold.DAY.replace(year=sold.DAY.year - vehicle_age)),
            },
        ),
        InsuredObject("", "driver", {**driver.fields, "date_of_birth": str(date(2026 - age, 6, 1))}),
        InsuredObject("", "driver", {**driver.fields, "date_of_birth": str(date(2026 - 99, 6, 1))}),
    ]
    coverages = chosen("motor", draw)
    before = {**answers, "driver_age": age, "vehicle_age": vehicle_age, "vehicle_value": value, "engine_power": power}
    same(first("motor", before, coverages), second("motor", answers, objects, coverages))


@given(st.data())
def test_house_costs_what_it_cost_without_its_address(data: st.DataObject) -> None:
    draw = data.draw
    value = draw(st.integers(200_000, 100_000_000))
    of_house = {
        "area": draw(st.integers(10, 2000)),
        "construction": draw(st.sampled_from(["masonry", "mixed", "timber"])),
        "year_built": draw(st.integers(1850, 2100)),
    }
    contents = draw(st.integers(0, min(value, 20_000_000)))
    answers = {
        "location": draw(st.sampled_from(["maputo", "south", "centre", "north"])),
        "near_water": draw(st.booleans()),
        "alarm": draw(st.booleans()),
        "occupied": draw(st.booleans()),
        "claims_5_years": draw(st.integers(0, 20)),
    }
    (house,) = sold.OBJECTS["home"]
    objects = [InsuredObject("", "house", {**house.fields, **of_house, "value": f"{value}.00"})]
    coverages = chosen("home", draw)
    same(
        first("home", {**answers, **of_house, "building_value": value, "contents_value": contents}, coverages),
        second("home", {**answers, "contents_value": str(contents), "mortgage": "none"}, objects, coverages),
    )


@given(st.data())
def test_trip_costs_what_it_cost_without_names(data: st.DataObject) -> None:
    draw = data.draw
    adults = draw(st.lists(st.integers(18, 110), min_size=1, max_size=10))
    children = draw(st.lists(st.integers(0, 17), max_size=10))
    answers = {
        "trip_days": draw(st.integers(1, 180)),
        "destination": draw(st.sampled_from(["africa", "europe", "asia", "americas", "worldwide"])),
        "sports": draw(st.booleans()),
    }
    objects = [
        InsuredObject(
            "", "traveller", {"name": "Ana", "passport": f"AB{n:06}", "date_of_birth": str(date(2026 - age, 6, 1))}
        )
        for n, age in enumerate(adults + children)
    ]
    coverages = chosen("travel", draw)
    before = {**answers, "adults": len(adults), "children": len(children), "oldest_age": max(adults)}
    same(first("travel", before, coverages), second("travel", {**answers, "purpose": "holiday"}, objects, coverages))
