"""The rules of delinquencies: grace, the steps of dunning day by day, suspension, each pair of state and command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import FieldInvalid
from libs.money import Money
from services.payments.billing.rules import delinquency
from services.payments.billing.rules.delinquency import (
    Delinquency,
    DelinquencyStateInvalid,
    Ending,
    State,
    Suspension,
)
from services.payments.billing.rules.dunning import Action, Dunning

NOW = datetime(2027, 2, 2, 4, tzinfo=UTC)
DUE = date(2027, 2, 1)
OWED = Money(119_08, "EUR")
NOTHING = Money(0, "EUR")
MOTOR = Dunning.of(
    30,
    [(0, Action.RETRY), (3, Action.REMIND), (10, Action.RETRY), (15, Action.NOTICE), (30, Action.LAPSE)],
)


def opened(due_on: date = DUE, last_version: int = 0) -> Delinquency:
    return delinquency.open_for(ids.new(), ids.new(), last_version, due_on, OWED, 1, NOW)


def in_grace(due_on: date = DUE) -> Delinquency:
    return delinquency.begin_grace(opened(due_on), MOTOR)


def day(count: int) -> date:
    """The day so many days after the due date."""
    return DUE + timedelta(days=count)


def go_on(current: Delinquency, today: date, rules: Dunning = MOTOR) -> tuple[Delinquency, list[Action]]:
    """What a nightly run does today."""
    done = []
    while (step := delinquency.next_step(current, rules)) and delinquency.day_of_step(current, step) <= today:
        current = delinquency.do(current, rules, step, today)
        done.append(step.action)
    return current, done


@pytest.mark.parametrize(
    ("due_on", "ends_on"), [(date(2025, 2, 1), date(2025, 3, 3)), (date(2024, 2, 1), date(2024, 3, 2))]
)
def test_grace_ends_thirty_days_after_the_due_date(due_on: date, ends_on: date) -> None:
    """T72."""
    assert in_grace(due_on).grace_ends_on == ends_on


def test_steps_are_done_on_their_days() -> None:
    current, calendar = in_grace(), {}
    for count in range(1, 31):
        current, done = go_on(current, day(count))
        if done:
            calendar[count] = done
    assert calendar == {
        1: [Action.RETRY],
        3: [Action.REMIND],
        10: [Action.RETRY],
        15: [Action.NOTICE],
        30: [Action.LAPSE],
    }
    assert (current.state, current.grace_ends_on, current.next_on) == (State.LAPSING, day(30), None)
    assert current.version == 2 + len(MOTOR.steps)


def test_days_that_were_missed_are_made_up_for_once_and_in_order() -> None:
    current, done = go_on(in_grace(), day(12))
    assert done == [Action.RETRY, Action.REMIND, Action.RETRY]
    assert go_on(current, day(12)) == (current, [])
    assert current.next_on == day(15)


def test_notice_that_went_out_late_gives_its_days_all_the_same() -> None:
    current, done = go_on(in_grace(), day(40))
    assert done == [Action.RETRY, Action.REMIND, Action.RETRY, Action.NOTICE]
    assert (current.state, current.grace_ends_on, current.next_on) == (State.IN_GRACE, day(55), day(55))
    assert go_on(current, day(54))[1] == []
    assert go_on(current, day(55))[1] == [Action.LAPSE]


def test_notice_on_the_first_day_that_anything_can_be_done_is_not_late() -> None:
    strict = Dunning.of(10, [(0, Action.NOTICE), (10, Action.LAPSE)])
    current, _ = go_on(delinquency.begin_grace(opened(), strict), day(1), strict)
    assert current.grace_ends_on == day(10)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=30))
def test_whenever_the_run_comes_each_step_is_done_once_and_notice_has_its_days(days: list[int]) -> None:
    current, all_done, noticed = in_grace(), [], None
    for count in sorted(days):
        current, done = go_on(current, day(count))
        if Action.NOTICE in done:
            noticed = day(count)
        if Action.LAPSE in done:
            assert noticed is not None
            assert day(count) - noticed >= timedelta(days=15)
            assert current.grace_ends_on is not None
            assert current.grace_ends_on <= day(count)
        all_done += done
    assert all_done == [step.action for step in MOTOR.steps][: len(all_done)]


def test_suspended_delinquency_does_nothing_and_its_grace_is_later_by_its_days() -> None:
    current, _ = go_on(in_grace(), day(15))
    suspended = delinquency.suspend(current, day(40), "hospital", day(20))
    assert go_on(suspended, day(39)) == (suspended, [])
    going_on = delinquency.resume(suspended, MOTOR, day(40))
    assert (going_on.grace_ends_on, going_on.next_on, going_on.suspension) == (day(50), day(50), None)
    assert going_on.version == suspended.version + 1 == current.version + 2


def test_suspension_that_is_prolonged_counts_from_its_first_day() -> None:
    suspended = delinquency.suspend(in_grace(), day(10), "hospital", day(5))
    prolonged = delinquency.suspend(suspended, day(20), "still there", day(9))
    assert prolonged.suspension == Suspension(day(5), day(20), "still there")
    assert delinquency.resume(prolonged, MOTOR, day(12)).held_days == 7


@pytest.mark.parametrize("until", [day(0), day(5), day(5 + 367)])
def test_suspension_ends_between_tomorrow_and_a_year_from_now(until: date) -> None:
    with pytest.raises(FieldInvalid):
        delinquency.suspend(in_grace(), until, "why", day(5))


def test_lapse_waits_for_a_payment_that_is_under_way_without_a_step() -> None:
    current = in_grace()
    waiting = delinquency.wait(current, day(30))
    assert (waiting.version, waiting.next_on, waiting.state) == (current.version, day(31), State.IN_GRACE)


def test_versions_count_over_all_episodes() -> None:
    first = delinquency.settle(in_grace(), Ending.PAID, NOTHING, NOW)
    assert first.version == 3
    assert opened(last_version=first.version).version == 4


def test_another_amount_is_a_step_and_the_same_is_none() -> None:
    current = in_grace()
    assert delinquency.with_amount(current, OWED) is current
    assert delinquency.with_amount(current, Money(1, "EUR")).version == current.version + 1


def _suspend(current: Delinquency) -> Delinquency:
    return delinquency.suspend(current, day(20), "why", day(5))


def _resume(current: Delinquency) -> Delinquency:
    return delinquency.resume(current, MOTOR, day(5))


def _lapse(current: Delinquency) -> Delinquency:
    return delinquency.lapsed(current)


def _in_state(state: State, *, is_suspended: bool = False) -> Delinquency:
    suspension = Suspension(day(2), day(9), "why") if is_suspended else None
    return replace(in_grace(), state=state, suspension=suspension)


PAIRS: list[tuple[Callable[[Delinquency], Delinquency], State, bool, bool]] = [
    (_suspend, State.PAST_DUE, False, True),
    (_suspend, State.IN_GRACE, False, True),
    (_suspend, State.IN_GRACE, True, True),
    (_suspend, State.LAPSING, False, False),
    (_suspend, State.LAPSED, False, False),
    (_suspend, State.SETTLED, False, False),
    *((_resume, state, False, False) for state in State),
    (_resume, State.PAST_DUE, True, True),
    (_resume, State.IN_GRACE, True, True),
]


@pytest.mark.parametrize(("command", "state", "is_suspended", "is_allowed"), PAIRS)
def test_every_pair_of_state_and_command(
    command: Callable[[Delinquency], Delinquency], state: State, is_suspended: bool, is_allowed: bool
) -> None:
    current = _in_state(state, is_suspended=is_suspended)
    if is_allowed:
        after = command(current)
        assert (after.version, after.state) == (current.version + 1, state)
        return
    with pytest.raises(DelinquencyStateInvalid) as refused:
        command(current)
    assert refused.value.metadata == {"state": state}


@pytest.mark.parametrize(
    ("cover_ends_on", "today", "is_ended"),
    [
        (None, day(10), False),
        (day(11), day(10), False),
        (day(10), day(10), True),
        (day(30), day(40), True),
        (day(31), day(40), False),  # grace was over before: the lapse comes first
    ],
)
def test_policy_that_ends_before_grace_ends_its_delinquency(
    cover_ends_on: date | None, today: date, is_ended: bool
) -> None:
    assert delinquency.is_ended(in_grace(), cover_ends_on, today) is is_ended
