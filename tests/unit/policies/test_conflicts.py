"""Changes that meet later ones: who wins, and that the order of issue does not matter for the money."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.premium import Coverage
from services.policies.lifecycle.rules import change_request, endorsement
from services.policies.lifecycle.rules.change_request import ChangeConflicts, OnConflict, Request
from services.policies.lifecycle.rules.quote import QuoteOutdated
from services.policies.lifecycle.rules.term import Risk
from services.policies.lifecycle.rules.transaction import Delta
from services.policies.lifecycle.store import changes
from tests.unit.policies.endorsing import (
    CAR,
    NOW,
    ONE_CAR,
    a_contract,
    endorsed,
    quoted,
    risk_on,
)
from tests.unit.policies.stacks import EUR, FIRST, LAST, amounts

JULY = date(2025, 7, 1)  # 181 days used, 184 left


def test_earlier_change_of_another_field_stays_behind_a_later_one() -> None:
    later = Request(date(2025, 9, 1), changed_objects={"car_1": {"value": 7000}})
    earlier = Request(date(2025, 3, 1), changed_objects={"car_1": {"plate": "ZZ-99"}})
    base = endorsed(a_contract(ONE_CAR), later, earlier)
    assert risk_on(base, date(2025, 4, 1)).objects[0].fields == {"plate": "ZZ-99", "value": 9000}
    assert risk_on(base, date(2025, 10, 1)).objects[0].fields == {"plate": "ZZ-99", "value": 7000}


@pytest.mark.parametrize(("on_conflict", "behind"), [(OnConflict.KEEP_LATER, 30000), (OnConflict.OVERRIDE, 15000)])
def test_conflict_is_decided_as_asked_and_read_back_from_the_quote(on_conflict: OnConflict, behind: int) -> None:
    base = endorsed(a_contract(ONE_CAR), Request(JULY, {"km": 30000, "use": "business"}))
    asked = Request(date(2025, 3, 1), {"km": 15000}, on_conflict=on_conflict)
    delta = change_request.delta_of(asked, ONE_CAR)
    (conflict,) = change_request.conflicts(delta, asked.effective_on, base.standing)
    assert (conflict.transaction, conflict.path) == (base.stack[-1], "answers.km")
    after = endorsed(base, asked)
    assert risk_on(after, date(2025, 6, 30)).answers["km"] == 15000
    assert risk_on(after, JULY).answers == {"price_liability": 120000, "km": behind, "use": "business"}
    assert isinstance(after.stack[-1].change, Delta)
    assert after.stack[-1].change.overrides is (on_conflict is OnConflict.OVERRIDE)


def test_change_that_is_not_to_conflict_is_refused_where_it_does() -> None:
    base = endorsed(a_contract(ONE_CAR), Request(JULY, {"km": 30000}))
    asked = Request(date(2025, 3, 1), {"km": 15000}, on_conflict=OnConflict.REFUSE)
    conflicts = change_request.conflicts(change_request.delta_of(asked, ONE_CAR), asked.effective_on, base.standing)
    with pytest.raises(ChangeConflicts) as caught:
        change_request.check_conflicts(asked, conflicts)
    assert caught.value.metadata == {"sequence": "2", "path": "answers.km"}
    change_request.check_conflicts(asked, [])


def test_removed_object_conflicts_with_a_later_change_of_it_and_does_not_come_back() -> None:
    two = replace(ONE_CAR, objects=(CAR, replace(CAR, id="car_2")))
    base = endorsed(a_contract(two), Request(JULY, changed_objects={"car_2": {"value": 1}}))
    asked = Request(date(2025, 3, 1), removed_objects=("car_2",))
    conflicts = change_request.conflicts(change_request.delta_of(asked, two), asked.effective_on, base.standing)
    assert [conflict.path for conflict in conflicts] == ["objects.car_2.value"]
    assert [item.id for item in risk_on(endorsed(base, asked), LAST - timedelta(days=1)).objects] == ["car_1"]


def test_quote_that_was_priced_on_an_older_timeline_is_outdated() -> None:
    base = a_contract(ONE_CAR)
    old = quoted(base, Request(JULY, {"km": 1}))
    newer = endorsed(base, Request(JULY, {"use": "business"}))
    with pytest.raises(QuoteOutdated) as caught:
        endorsement.change_in(old, newer, NOW)
    assert caught.value.metadata == {"timeline_sequence": "2"}


def test_change_of_fields_that_overrides_is_stored_and_read_without_loss() -> None:
    base = endorsed(a_contract(ONE_CAR), Request(JULY, changed_objects={"car_1": {"value": 7000}}))
    asked = {"car_1": {"value": 8000, "plate": "ZZ-99"}}
    base = endorsed(base, Request(FIRST, changed_objects=asked, on_conflict=OnConflict.OVERRIDE))
    made = replace(base.stack[-1], change=replace(base.stack[-1].change, identifiers={"car_1": "ZZ-99"}))  # type: ignore[type-var]
    plain = json.loads(json.dumps(changes.row_from_change(made)))
    row = SimpleNamespace(change=plain, currency=EUR)
    assert changes.change_from_row(row) == made.change
    assert isinstance(made.change, Delta)
    assert (made.change.fields, made.change.overrides) == (asked, True)


asked_changes = st.lists(
    st.tuples(
        st.integers(0, 364),
        st.one_of(
            st.tuples(st.just("price_liability"), st.integers(0, 300000)),
            st.tuples(st.just("price_fire"), st.integers(0, 300000)),
            st.tuples(st.just("coverage"), st.just(0)),
            st.tuples(st.just("value"), st.integers(1, 9)),
        ),
    ),
    min_size=2,
    max_size=6,
    unique_by=lambda item: item[0],
)


def request_of(day: int, what: tuple[str, int]) -> Request:
    code, value = what
    on = FIRST + timedelta(days=day)
    if code == "coverage":
        return Request(on, added_coverages=(Coverage("fire"),))
    if code == "value":
        return Request(on, changed_objects={"car_1": {"value": value}})
    return Request(on, {code: value})


@settings(max_examples=60, deadline=None)
@given(asked_changes, st.randoms(use_true_random=False))
def test_changes_come_to_the_same_money_in_every_order_of_issue(
    asked: list[tuple[int, tuple[str, int]]], random: Random
) -> None:
    # No two values are alike, and none is that of before: a change of nothing is refused, and would not be there later.
    asked = [(day, (code, value * 8 + number)) for number, (day, (code, value)) in enumerate(asked)]
    whole = Risk({"price_liability": 120007, "price_fire": 30007}, (CAR,), (Coverage("liability"),))
    has_fire = [item for item in asked if item[1][0] == "coverage"]
    asked = [item for item in asked if item not in has_fire[1:]]
    orders = list(permutations(asked)) if len(asked) <= 3 else [random.sample(asked, len(asked)) for _ in range(6)]
    costs = []
    for order in [asked, *orders]:
        base = a_contract(whole)
        for day, what in order:
            base = endorsed(base, request_of(day, what))
        lines = [line for transaction in base.stack[1:] for line in transaction.lines]
        opened = [line for term in a_contract(whole).policy.terms for line in term.lines()]
        assert amounts(opened, lines) == amounts(*(term.lines() for term in base.policy.terms))
        costs.append(amounts(*(term.lines() for term in base.policy.terms)))
    assert all(cost == costs[0] for cost in costs)
