"""Underwriting: which risks are taken, referred or declined, and by which rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.rules.product import Comparison
from services.quotes.catalogue.rules.variables import Variable
from services.quotes.quoting.rules.underwriting import Outcome, compile_rules
from services.quotes.rating.rules.condition import compile_condition
from services.quotes.rating.rules.facts import Facts
from tests.unit.quotes.samples import calculate, small


def decide(**answers: Any) -> tuple[Outcome, list[str]]:
    decision = compile_rules(read(small()))(Facts(answers, {}))
    return decision.outcome, [reason.rule_code for reason in decision.reasons]


def test_what_no_rule_speaks_of_is_approved() -> None:
    assert decide(area=100, roof="tile", dog=False) == (Outcome.APPROVED, [])


def test_referred_risk_names_its_rule() -> None:
    assert decide(area=100, roof="straw", dog=False) == (Outcome.REFERRED, ["straw"])


def test_approving_rule_takes_a_referral_back() -> None:
    assert decide(area=100, roof="straw", dog=True) == (Outcome.APPROVED, [])


def test_decline_outweighs_everything_and_names_only_what_declined() -> None:
    assert decide(area=900, roof="straw", dog=True) == (Outcome.DECLINED, ["huge"])


@pytest.mark.parametrize(
    ("code", "answers", "outcome", "rules"),
    [
        ("motor", {"driver_age": 17}, Outcome.DECLINED, ["driver_too_young"]),
        ("motor", {"driver_age": 18}, Outcome.APPROVED, []),
        ("motor", {"claims_5_years": 2}, Outcome.APPROVED, []),
        ("motor", {"claims_5_years": 3}, Outcome.REFERRED, ["frequent_claims"]),
        ("motor", {"claims_5_years": 5}, Outcome.DECLINED, ["too_many_claims"]),
        ("motor", {"vehicle_value": 100000}, Outcome.APPROVED, []),
        ("motor", {"vehicle_value": 100001, "use": "taxi"}, Outcome.REFERRED, ["precious_car", "taxi"]),
        ("motor", {"driver_age": 24, "engine_power": 131}, Outcome.REFERRED, ["young_driver_fast_car"]),
        ("motor", {"driver_age": 24, "engine_power": 131, "telematics": True}, Outcome.APPROVED, []),
        ("home", {"construction": "reed", "near_water": True}, Outcome.DECLINED, ["reed_near_water"]),
        ("home", {"year_built": 1930, "alarm": False}, Outcome.REFERRED, ["old_building"]),
        ("home", {"year_built": 1930}, Outcome.APPROVED, []),
        ("travel", {"oldest_age": 86}, Outcome.DECLINED, ["traveller_too_old"]),
        ("travel", {"trip_days": 91}, Outcome.REFERRED, ["long_trip"]),
        ("travel", {"trip_days": 91, "destination": "africa"}, Outcome.APPROVED, []),
    ],
)
def test_shipped_rules(code: str, answers: dict[str, Any], outcome: Outcome, rules: list[str]) -> None:
    decision = calculate(code, **answers).decision
    assert (decision.outcome, [reason.rule_code for reason in decision.reasons]) == (outcome, rules)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_bounds_are_inclusive(answer: int, least: int, most: int) -> None:
    variables = {"q": Variable("q", "integer")}
    holds = compile_condition(variables, {"q": Comparison(at_least=least, at_most=most)})
    assert holds({"q": answer}) == (least <= answer <= most)


def test_all_comparisons_of_a_condition_must_hold() -> None:
    variables = {"a": Variable("a", "boolean"), "b": Variable("b", "choice", choices=("x", "y", "z"))}
    holds = compile_condition(variables, {"a": Comparison(equals=False), "b": Comparison(one_of=("x", "y"))})
    assert holds({"a": False, "b": "y"})
    assert not holds({"a": True, "b": "y"})
    assert not holds({"a": False, "b": "z"})
