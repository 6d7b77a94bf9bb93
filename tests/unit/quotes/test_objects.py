"""Insured objects: what is accepted of each, what is derived of it, and a line for each that a coverage is for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.premium import InsuredObject, LineKind
from services.quotes.quoting.rules.underwriting import Outcome, compile_rules
from services.quotes.rating.rules.answers import AnswerInvalid
from services.quotes.rating.rules.contradictions import AnswersContradict
from services.quotes.rating.rules.facts import years_between
from services.quotes.rating.rules.objects import ObjectInvalid
from services.quotes.rating.rules.price import Price
from services.quotes.rating.rules.pricing import PricedRisk, Risk
from tests.unit.quotes.fleet import ANSWERS, START, TARIFF, car, driver, price, tariff


def lines(price: Price, kind: LineKind = LineKind.PREMIUM) -> list[tuple[str, str, int]]:
    return [
        (line.coverage_code or line.charge_code, line.object_id, line.amount)
        for line in price.lines
        if line.kind is kind
    ]


TWO_CARS = (
    car(),
    car("BB-02-BB", value="40000", first_registered="2010-01-01", fuel="electric"),
    driver(),
    driver("1950-01-01", "Rui"),
)


def test_coverage_of_objects_has_a_step_and_a_line_for_each() -> None:
    priced = price(*TWO_CARS, coverages=["own_damage", "injury"])
    assert [(*tuple(step)[:5], step.object_id) for step in priced.price.steps] == [
        ("liability_base", "base", "liability", "", 100_00, ""),
        ("own_damage_base", "base", "own_damage", "0.02", 400_00, "vehicle_1"),
        ("own_damage_base", "base", "own_damage", "0.02", 800_00, "vehicle_2"),
        ("injury_base", "base", "injury", "0.001", 50_00, "driver_1"),
        ("injury_base", "base", "injury", "0.001", 50_00, "driver_2"),
        ("vehicle_age", "factor", "own_damage", "1.00", 0, "vehicle_1"),
        ("vehicle_age", "factor", "own_damage", "1.50", 400_00, "vehicle_2"),
        ("electric", "discount", "own_damage", "0.10", -120_00, "vehicle_2"),
        ("age", "factor", "injury", "1.00", 0, "driver_1"),
        ("age", "factor", "injury", "2.00", 50_00, "driver_2"),
        ("km", "factor", "", "1.00", 0, ""),
        ("old_cars", "loading", "", "0.10", 173_00, ""),
        ("premium_tax", "tax", "", "0.09", 171_27, ""),
        ("liability_levy", "tax", "", "0.025", 2_75, ""),
        ("policy_fee", "fee", "", "", 12_50, ""),
    ]
    assert lines(priced.price) == [
        ("liability", "", 110_00),
        ("own_damage", "vehicle_1", 440_00),
        ("own_damage", "vehicle_2", 1188_00),
        ("injury", "driver_1", 55_00),
        ("injury", "driver_2", 110_00),
    ]
    assert (priced.price.net, priced.price.tax, priced.price.fees) == (1903_00, 174_02, 12_50)


def test_tax_of_some_coverages_is_on_their_lines_alone_and_absent_without_them() -> None:
    assert lines(price(car(), driver()).price, LineKind.TAX) == [
        ("premium_tax", "", 9_00),
        ("liability_levy", "", 2_50),
    ]
    own = tariff(lambda d: d["taxes"][1].update(coverages=["injury"]))
    without = own.price_from(Risk(ANSWERS, objects=[car(), driver()]), START).price
    assert lines(without, LineKind.TAX) == [("premium_tax", "", 9_00)]


@pytest.mark.parametrize(("begins", "tax"), [("2026-12-31", 9_00), ("2027-01-01", 10_00), ("2029-06-01", 12_00)])
def test_rate_of_a_tax_is_the_one_that_has_begun_on_the_first_day_of_the_term(begins: str, tax: int) -> None:
    def change(document: Any) -> None:
        document["taxes"] = [
            {"code": "premium_tax", "rate": "0.09", "valid_from": "2026-01-01"},
            {"code": "premium_tax", "rate": "0.12", "valid_from": "2028-01-01"},
            {"code": "premium_tax", "rate": "0.10", "valid_from": "2027-01-01"},
        ]

    risk = Risk(ANSWERS, objects=[car(), driver()])
    assert lines(tariff(change).price_from(risk, date.fromisoformat(begins)).price, LineKind.TAX) == [
        ("premium_tax", "", tax)
    ]


def test_fee_is_charged_on_its_occasions() -> None:
    risk = Risk(ANSWERS, objects=[car(), driver()], occasion="endorsement")
    assert TARIFF.price_from(risk, START).price.fees == 0
    assert TARIFF.price_from(Risk(ANSWERS, objects=[car(), driver()], occasion="renewal"), START).price.fees == 12_50


def test_objects_get_free_names_and_the_identifier_of_their_kind() -> None:
    named = InsuredObject("vehicle_1", "vehicle", car("CC-03-CC").fields, identifier="of the caller")
    priced = price(car(), named, driver())
    assert [(insured.id, insured.identifier) for insured in priced.objects] == [
        ("vehicle_2", "AA-01-AA"),
        ("vehicle_1", "CC-03-CC"),
        ("driver_1", ""),
    ]


def test_numbers_of_fields_are_kept_with_all_their_places() -> None:
    priced = price(car(value=20000.0), driver(), km="25")
    assert priced.objects[0].fields["value"] == "20000.00"
    assert priced.answers["km"] == "25.0"


@pytest.mark.parametrize(
    ("objects", "name", "field"),
    [
        ([driver()], "vehicle", "object_code"),
        ([car()], "driver", "object_code"),
        ([car(str(n) * 5) for n in range(4)] + [driver()], "vehicle", "object_code"),
        ([car(), driver(), InsuredObject("", "boat", {})], "boat_1", "object_code"),
        ([car(), car(), driver()], "vehicle_2", "plate"),
        ([InsuredObject("x", "vehicle", car().fields), InsuredObject("x", "driver", {})], "x", "object_id"),
        ([car("aa-01-aa"), driver()], "vehicle_1", "plate"),
        ([car("AA"), driver()], "vehicle_1", "plate"),
        ([car(plate=7), driver()], "vehicle_1", "plate"),
        ([car(plate=None), driver()], "vehicle_1", "plate"),
        ([car(colour="red"), driver()], "vehicle_1", "colour"),
        ([car(first_registered="20201201"), driver()], "vehicle_1", "first_registered"),
        ([car(first_registered="2020-13-01"), driver()], "vehicle_1", "first_registered"),
        ([car(first_registered="2027-01-01"), driver()], "vehicle_1", "first_registered"),
        ([car(first_registered="1980-01-01"), driver()], "vehicle_1", "first_registered"),
        ([car(value="499.99"), driver()], "vehicle_1", "value"),
        ([car(value="500.001"), driver()], "vehicle_1", "value"),
        ([car(value=500.5), driver()], "vehicle_1", "value"),
        ([car(value="1e4"), driver()], "vehicle_1", "value"),
        ([car(value=True), driver()], "vehicle_1", "value"),
        ([car(value=float("nan")), driver()], "vehicle_1", "value"),
        ([car(fuel="coal"), driver()], "vehicle_1", "fuel"),
        ([car(), driver(name="x" * 41)], "driver_1", "name"),
        ([car(), driver(name="two\nlines")], "driver_1", "name"),
        ([car(), driver(name=" ")], "driver_1", "name"),
        ([car(), driver("2010-01-01")], "driver_1", "date_of_birth"),
    ],
)
def test_wrong_object_is_refused_with_its_name_and_field(objects: list[InsuredObject], name: str, field: str) -> None:
    with pytest.raises(ObjectInvalid) as caught:
        price(*objects)
    assert caught.value.metadata == {"object": name, "field": field}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("km", "25.05"),
        ("km", "100.1"),
        ("km", "-1"),
        ("sum", "1e3"),
        ("sum", ""),
        ("last_claim", "2020-2-1"),
        ("last_claim", "2020-W01-1"),
        ("note", 5),
        ("note", "x" * 201),
    ],
)
def test_wrong_text_date_or_number_is_refused_with_its_question(question: str, answer: Any) -> None:
    with pytest.raises(AnswerInvalid) as caught:
        TARIFF.price_from(Risk({**ANSWERS, question: answer}, objects=[car(), driver()]), START)
    assert caught.value.metadata == {"question": question}


@pytest.mark.parametrize(
    ("objects", "answers", "check", "questions"),
    [
        (
            [car(), driver("2000-12-01")],
            {"licence_years": 10},
            "licence_longer_than_life",
            "licence_years, driver.date_of_birth",
        ),
        ([car(), driver()], {"last_claim": "2018-12-31"}, "claim_before_contract", "last_claim, contract_from"),
        (
            [car(), car("BB-02-BB", first_registered="2000-01-01", value="100000.01"), driver()],
            {},
            "dear_old_car",
            "vehicle.first_registered, vehicle.value",
        ),
    ],
)
def test_answers_that_contradict_are_refused_with_the_text_of_the_check(
    objects: list[InsuredObject], answers: dict[str, Any], check: str, questions: str
) -> None:
    with pytest.raises(AnswersContradict) as caught:
        price(*objects, **answers)
    assert caught.value.metadata == {"check": check, "questions": questions}
    assert caught.value.message == next(rule.text for rule in TARIFF.product.checks if rule.code == check)


def test_check_on_objects_looks_at_one_object_at_a_time() -> None:
    price(car(first_registered="2000-01-01"), car("BB-02-BB", value="100000.01"), driver())


def test_years_are_counted_at_the_first_day_of_the_term_and_for_a_later_object_at_its_own() -> None:
    birth = "2005-12-02"
    assert price(car(), driver(birth), licence_years=0).facts.whole["driver_age"] == 20
    later = Risk(ANSWERS | {"licence_years": 0}, objects=[car(), driver(birth)], added={"driver_1": date(2026, 12, 2)})
    assert TARIFF.price_from(later, START).facts.whole["driver_age"] == 21


@pytest.mark.parametrize(
    ("since", "day", "years"),
    [
        ("2000-02-29", "2021-02-28", 20),
        ("2000-02-29", "2021-03-01", 21),
        ("2000-02-29", "2024-02-29", 24),
        ("2000-12-01", "2026-12-01", 26),
        ("2000-12-01", "2026-11-30", 25),
        ("2027-01-01", "2026-12-01", -1),
    ],
)
def test_full_years(since: str, day: str, years: int) -> None:
    assert years_between(date.fromisoformat(since), date.fromisoformat(day)) == years


def decided(priced: PricedRisk) -> tuple[Outcome, list[str]]:
    decision = compile_rules(TARIFF.product)(priced.facts)
    return decision.outcome, [reason.rule_code for reason in decision.reasons]


def test_rule_on_objects_holds_if_it_holds_of_any() -> None:
    assert decided(price(car(), driver())) == (Outcome.APPROVED, [])
    assert decided(price(car(), car("BB-02-BB", value="90000.01"), driver())) == (Outcome.REFERRED, ["dear_car"])
    assert decided(price(car(), driver(), driver("1930-01-01"))) == (Outcome.DECLINED, ["old_driver"])


def test_minimum_of_nothing_is_borne_by_the_first_object_of_the_first_mandatory_coverage() -> None:
    def change(document: Any) -> None:
        document["coverages"] = [
            {"code": "injury", "display_name": "I", "covers": "driver"},
            {"code": "own_damage", "display_name": "O", "covers": "vehicle", "mandatory": True},
        ]
        document["rating"] = [
            {"name": "injury", "kind": "base", "coverages": ["injury"], "amount": "0.00"},
            {"name": "own_damage", "kind": "base", "coverages": ["own_damage"], "amount": "0.00"},
            {"name": "minimum", "kind": "minimum", "amount": "50.00"},
        ]
        document["taxes"] = []
        for key in ("claims", "golden_risks"):
            document.pop(key)

    risk = Risk(ANSWERS, objects=[driver(), car(), car("BB-02-BB")])
    assert lines(tariff(change).price_from(risk, START).price) == [
        ("own_damage", "vehicle_1", 50_00),
        ("own_damage", "vehicle_2", 0),
    ]


@given(
    values=st.lists(st.integers(500_00, 200_000_00), min_size=1, max_size=3),
    births=st.lists(st.dates(date(1935, 1, 1), date(2000, 1, 1)), min_size=1, max_size=4),
    chosen=st.sets(st.sampled_from(["own_damage", "injury"])),
)
def test_lines_of_objects_add_up_to_the_price(values: list[int], births: list[date], chosen: set[str]) -> None:
    cars = [car(f"AA-{n}", value=f"{value / 100:.2f}") for n, value in enumerate(values)]
    drivers = [driver(str(day)) for day in births]
    made = price(*cars, *drivers, coverages=sorted(chosen), licence_years=0).price
    sums = {kind: sum(amount for _, _, amount in lines(made, kind)) for kind in LineKind}
    assert sums == {"premium": made.net, "tax": made.tax, "fee": made.fees, "retention": 0}
    assert sum(step.amount for step in made.steps) == made.total
    assert len(lines(made)) == 1 + ("own_damage" in chosen) * len(cars) + ("injury" in chosen) * len(drivers)
