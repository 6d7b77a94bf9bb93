"""Changes of what is insured: from a request by the segments that are priced to the transaction and its money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from libs.errors import FieldInvalid
from libs.money import Money
from libs.premium import Coverage, InsuredObject
from services.policies.lifecycle.rules import change_request, endorsement
from services.policies.lifecycle.rules import contract as contracts
from services.policies.lifecycle.rules.change_request import Request
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.effective import BackDating, EffectiveDateInvalid
from services.policies.lifecycle.rules.endorsement import ChangeEmpty, Limits
from services.policies.lifecycle.rules.loss import ClaimPaid, LossMark, LossState, check_still_covered
from services.policies.lifecycle.rules.policy import PolicyStateInvalid
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Ended, EndKind
from services.policies.lifecycle.rules.transaction import Opening, TransactionType
from tests.unit.policies.contracts import RULES
from tests.unit.policies.endorsing import (
    CAR,
    NOW,
    ONE_CAR,
    a_contract,
    endorsed,
    issued,
    planned,
    quote_of,
    quoted,
    risk_on,
)
from tests.unit.policies.stacks import EUR, FIRST, LAST, end

CANCELLATION, NEW = UUID(int=50), UUID(int=51)
JULY = date(2025, 7, 1)  # 181 days used, 184 left
NET = replace(RULES, taxes=(), fees=())


def price(day: date, amount: int, **fields: object) -> Request:
    return Request(day, {"price_liability": amount}, **fields)  # type: ignore[arg-type]


def net_of(base: Contract) -> int:
    return sum(premium_of(term.lines(), EUR).net.minor for term in base.policy.terms)


@pytest.mark.parametrize(
    ("case", "day", "amount", "change"),
    [
        ("T37 endorse up", JULY, 150000, 15123),
        ("T38 endorse down", JULY, 90000, -15123),
        ("T40 at inception", FIRST, 150000, 30000),
        ("T40 on the last day", LAST - timedelta(days=1), 150000, 82),
    ],
)
def test_worked_case_costs_what_the_book_says(case: str, day: date, amount: int, change: int) -> None:
    base = a_contract(rules=NET)
    after, changed = issued(base, quoted(base, price(day, amount)))
    assert premium_of(changed.transaction.lines, EUR).net.minor == change, case
    assert net_of(after) == 120000 + change


def test_worked_case_t42_of_a_plan_that_is_changed_within_a_month() -> None:
    base = a_contract(ONE_CAR, NET)
    first, asked = base.stack[0], replace(ONE_CAR, answers={"price_liability": 2000})
    assert isinstance(first.change, Opening)
    opening = replace(first.change, ends_on=FIRST + timedelta(days=30), risk=asked)
    brought = replace(first.prices[0], risk=asked, full_term={("car_1", "liability"): Money(2000, EUR)})
    base = replace(base, stack=(replace(first, change=opening, prices=(brought,)),))
    base = replace(base, policy=replace(base.policy, terms=base.terms_of(base.stack)))
    after, changed = issued(base, quoted(base, price(FIRST + timedelta(days=15), 3000)))
    (line,) = changed.transaction.lines
    assert line.amount == Money(500, EUR)
    assert net_of(after) == 2500


def test_written_total_and_tax_follow_an_endorsement_up() -> None:
    base = a_contract()
    after, changed = issued(base, quoted(base, price(JULY, 150000)))
    change = premium_of(changed.transaction.lines, EUR)
    assert (change.net.minor, change.tax.minor, change.fees.minor) == (15123, 2571 + 378, 0)
    assert net_of(after) == 135123


def test_request_becomes_what_is_different_on_its_day() -> None:
    asked = Request(
        JULY,
        {"km": 10000, "use": "business"},
        (InsuredObject("", "car", {"plate": "BB-22", "value": 5000}),),
        {"car_1": {"value": 8000, "plate": "AA-11"}},
        (),
        (Coverage("fire"),),
    )
    named = change_request.named(asked, a_contract(ONE_CAR).policy.terms)
    delta = change_request.delta_of(named, ONE_CAR)
    assert delta.answers == {"use": "business"}
    assert [item.id for item in delta.objects] == ["car_2"]
    assert delta.fields == {"car_1": {"value": 8000}}
    after = delta.applied_to(ONE_CAR)
    assert after.objects[0].fields == {"plate": "AA-11", "value": 8000}
    assert [item.code for item in after.coverages] == ["liability", "fire"]


def test_name_of_an_object_that_was_removed_is_not_given_again() -> None:
    base = endorsed(a_contract(ONE_CAR), Request(JULY, added_objects=(InsuredObject("", "car", {"plate": "B"}, "B"),)))
    base = endorsed(base, Request(JULY, removed_objects=("car_2",)))
    later = Request(JULY + timedelta(days=9), added_objects=(InsuredObject("", "car", {"plate": "C"}, "C"),))
    assert [item.id for item in risk_on(endorsed(base, later), LAST - timedelta(days=1)).objects] != ["car_1", "car_1"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Request(JULY, changed_objects={"car_9": {"value": 1}}), "objects.change[0].object_id"),
        (Request(JULY, changed_objects={"car_1": {"wings": 2}}), "objects.change[0].fields"),
        (
            Request(JULY, changed_objects={"car_1": {"value": 1}}, removed_objects=("car_1",)),
            "objects.change[0].object_id",
        ),
        (Request(JULY, removed_objects=("car_9",)), "objects.remove[0]"),
        (Request(JULY, added_objects=(CAR,)), "objects.add[0].object_id"),
        (Request(JULY, added_coverages=(Coverage("liability"),)), "coverages.add[0].coverage_code"),
        (Request(JULY, changed_coverages=(Coverage("fire"),)), "coverages.change[0].coverage_code"),
        (Request(JULY, removed_coverages=("fire",)), "coverages.remove[0]"),
        (Request(JULY, changed_coverages=(Coverage("liability"),), removed_coverages=("liability",)), "coverages"),
    ],
)
def test_thing_that_is_not_there_or_is_already_is_named(asked: Request, field: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        change_request.delta_of(asked, ONE_CAR)
    assert list(caught.value.violations) == [field]


def test_change_of_nothing_is_refused() -> None:
    base = a_contract(ONE_CAR)
    for asked in (
        Request(JULY),
        Request(JULY, {"km": 10000}),
        Request(JULY, changed_objects={"car_1": {"value": 9000}}),
    ):
        with pytest.raises(ChangeEmpty):
            planned(base, asked)


def test_policy_insures_a_hundred_objects_at_most() -> None:
    cars = tuple(InsuredObject("", "car", {"plate": str(number)}) for number in range(100))
    with pytest.raises(FieldInvalid):
        planned(a_contract(ONE_CAR), Request(JULY, added_objects=cars))
    assert len(planned(a_contract(ONE_CAR), Request(JULY, added_objects=cars[:99]))[-1].risk.objects) == 100


def test_term_has_sixty_segments_at_most() -> None:
    requests = [Request(FIRST + timedelta(days=n), {"km": n}) for n in range(1, 60)]
    base = endorsed(a_contract(ONE_CAR), *requests)
    assert len(base.policy.terms[0].segments) == 60
    with pytest.raises(FieldInvalid):
        planned(base, Request(JULY, {"km": 99}))


@pytest.mark.parametrize(
    ("day", "today", "limits", "expected"),
    [
        (JULY, JULY, Limits(), None),
        (LAST - timedelta(days=1), JULY, Limits(), None),
        (LAST, JULY, Limits(), ("2025-07-01", "2025-12-31")),
        (FIRST - timedelta(days=1), FIRST, Limits(), ("2025-01-01", "2025-12-31")),
        (date(2025, 12, 17), JULY, Limits(15), ("2025-07-01", "2025-12-16")),
        (date(2025, 12, 16), JULY, Limits(15), None),
        (JULY - timedelta(days=30), JULY, Limits(0, 30), None),
        (FIRST - timedelta(days=1), FIRST + timedelta(days=3), Limits(0, 30), ("2025-01-01", "2025-12-31")),
    ],
)
def test_days_on_which_a_change_can_take_effect(
    day: date, today: date, limits: Limits, expected: tuple[str, str] | None
) -> None:
    policy = a_contract().policy
    if expected is None:
        endorsement.check_day(policy, day, today, State.IN_FORCE, limits)
        return
    with pytest.raises(EffectiveDateInvalid) as caught:
        endorsement.check_day(policy, day, today, State.IN_FORCE, limits)
    assert (caught.value.metadata["earliest"], caught.value.metadata["latest"]) == expected


def test_change_is_dated_back_as_far_as_the_role_allows() -> None:
    policy = a_contract().policy
    with pytest.raises(BackDating) as caught:
        endorsement.check_day(policy, JULY, JULY + timedelta(days=31), State.IN_FORCE, Limits(0, 30))
    assert caught.value.metadata == {"days": "31", "allowed": "30"}


def test_change_does_not_take_effect_behind_a_pending_cancellation() -> None:
    policy = a_contract().policy
    (term,) = policy.terms
    cut = replace(term, segments=(replace(term.segments[0], ends_on=JULY),), ended=Ended(EndKind.CANCELLED, JULY))
    with pytest.raises(EffectiveDateInvalid) as caught:
        endorsement.check_day(replace(policy, terms=(cut,)), JULY, FIRST, State.IN_FORCE, Limits())
    assert caught.value.metadata["latest"] == "2025-06-30"


@pytest.mark.parametrize("state", [state for state in State if state not in endorsement.CHANGEABLE])
def test_policy_that_is_not_in_force_is_not_changed(state: State) -> None:
    with pytest.raises(PolicyStateInvalid):
        endorsement.check_day(a_contract().policy, JULY, JULY, state, Limits())


def test_change_is_carried_into_a_later_term_with_lines_of_its_own() -> None:
    base = a_contract(rules=NET, terms=2)
    after, changed = issued(base, quoted(base, price(JULY, 150000)))
    by_term = {line.term_number: line.amount.minor for line in changed.transaction.lines}
    assert by_term == {1: 15123, 2: 30000}
    assert [term.number for term in changed.terms] == [1, 2]
    assert net_of(after) == 240000 + 45123


def test_change_of_a_second_term_leaves_the_first_alone() -> None:
    base = a_contract(rules=NET, terms=2)
    _, changed = issued(base, quoted(base, price(LAST, 150000)))
    assert [(line.term_number, line.amount.minor) for line in changed.transaction.lines] == [(2, 30000)]


def test_days_behind_a_pending_cancellation_are_priced_too_so_that_it_can_be_taken_back() -> None:
    base = a_contract(rules=NET)
    ended = contracts.draft(
        base, TransactionType.CANCELLATION, JULY, NOW, end(Return(Method.PRO_RATA)), transaction_id=CANCELLATION
    )
    cancelled = contracts.put(base, ended)
    base = replace(base, policy=cancelled.after, stack=(*base.stack, cancelled.transaction))
    stretches = planned(base, price(date(2025, 3, 1), 150000))
    assert stretches[-1].ends_on == LAST
    after, _ = issued(base, quote_of(base, stretches))
    undone = contracts.draft(after, TransactionType.REVERSAL, JULY, NOW, transaction_id=NEW, reverses=CANCELLATION)
    restored = contracts.put(after, undone)
    assert restored.after.terms == endorsed(a_contract(rules=NET), price(date(2025, 3, 1), 150000)).policy.terms


def test_object_that_came_within_the_term_is_rated_by_the_day_it_came() -> None:
    added = Request(JULY, added_objects=(InsuredObject("", "car", {"plate": "B", "value": 1}, "B"),))
    stretches = planned(a_contract(ONE_CAR), added)
    assert [(stretch.is_changed, stretch.added) for stretch in stretches] == [
        (False, {"car_2": JULY}),
        (True, {"car_2": JULY}),
    ]


def test_price_that_stands_is_not_brought_again() -> None:
    base = a_contract(ONE_CAR)
    _, changed = issued(base, quoted(base, Request(JULY, {"km": 1})))
    (brought,) = changed.transaction.prices
    assert brought.risk.answers["km"] == 1


@pytest.mark.parametrize(
    ("asked", "loss_on", "state", "is_refused"),
    [
        (Request(JULY, removed_objects=("car_2",)), date(2025, 8, 1), LossState.REGISTERED, True),
        (Request(JULY, removed_objects=("car_2",)), date(2025, 6, 30), LossState.REGISTERED, False),
        (Request(JULY, removed_objects=("car_2",)), date(2025, 8, 1), LossState.DENIED, False),
        (Request(JULY, {"km": 1}), date(2025, 8, 1), LossState.REGISTERED, False),
        (
            Request(JULY, removed_coverages=("liability",), added_coverages=(Coverage("fire"),)),
            JULY,
            LossState.CLOSED,
            True,
        ),
    ],
)
def test_claimed_loss_is_not_left_without_cover(
    asked: Request, loss_on: date, state: LossState, is_refused: bool
) -> None:
    two = replace(ONE_CAR, objects=(CAR, replace(CAR, id="car_2")), answers={**ONE_CAR.answers, "price_fire": 1})
    base = a_contract(two)
    after = endorsed(base, asked)
    loss_at = datetime(loss_on.year, loss_on.month, loss_on.day, 12, tzinfo=UTC)
    mark = LossMark("clm_1", "car_2", "liability", loss_at, state)
    if not is_refused:
        check_still_covered([mark], base.policy.terms, after.policy.terms, "UTC")
        return
    with pytest.raises(ClaimPaid):
        check_still_covered([mark], base.policy.terms, after.policy.terms, "UTC")


def test_days_are_priced_on_from_the_quote_by_which_they_were_priced_last() -> None:
    base = a_contract()
    both = endorsed(base, price(JULY, 150000), price(date(2025, 3, 1), 130000))
    _, summer, spring = both.stack
    days = (FIRST, date(2025, 3, 1), JULY)
    priced = [base.policy.quote_id, spring.quote_id, summer.quote_id]
    assert [endorsement.quoted_by(both, day) for day in days] == priced
    assert [stretch.quote_id for stretch in planned(both, price(FIRST, 140000))] == priced
