"""The states of a payment: what each answer of the provider does to each of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.money import Money
from services.payments.billing.rules.payment_method import PaymentMethodInvalid
from services.payments.collection.rules import payment
from services.payments.collection.rules.payment import (
    ACTION_WITHIN,
    Payment,
    PaymentDeclined,
    State,
)
from services.payments.collection.rules.provider import (
    ActionRequired,
    Canceled,
    Charged,
    Declined,
    MethodUnknown,
    Outcome,
    Unknown,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
AMOUNT = Money(125_00, "EUR")
CHARGED = Charged("ref", AMOUNT)
OUTCOMES: list[Outcome] = [
    CHARGED,
    Charged("ref", Money(1, "EUR")),
    Declined("ref", "card_declined"),
    ActionRequired("ref", "https://act"),
    MethodUnknown(),
    Canceled(),
    Unknown(),
]


def a_payment(state: State = State.PROCESSING) -> Payment:
    new_payment = Payment(ids.new(), ids.new(), ids.new(), ids.new(), AMOUNT, "sandbox", NOW, state)
    return new_payment if new_payment.is_open else replace(new_payment, completed_at=NOW)


@pytest.mark.parametrize("state", [State.PROCESSING, State.REQUIRES_ACTION])
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (CHARGED, State.SUCCEEDED),
        (Declined("ref", "card_declined"), State.DECLINED),
        (MethodUnknown(), State.CANCELED),
        (Canceled(), State.CANCELED),
    ],
)
def test_answer_ends_an_open_payment(state: State, outcome: Outcome, expected: State) -> None:
    after = payment.apply(a_payment(state), outcome, LATER)
    assert (after.state, after.completed_at, after.version) == (expected, LATER, 2)


def test_decline_keeps_its_code() -> None:
    after = payment.apply(a_payment(), Declined("ref", "insufficient_funds"), LATER)
    assert (after.decline_code, after.provider_reference) == ("insufficient_funds", "ref")


def test_payer_has_to_act_and_the_address_goes_away_at_the_end() -> None:
    waiting = payment.apply(a_payment(), ActionRequired("ref", "https://act"), NOW)
    assert (waiting.state, waiting.action_url, waiting.completed_at) == (State.REQUIRES_ACTION, "https://act", None)
    assert payment.apply(waiting, CHARGED, LATER).action_url == ""


def test_waiting_for_the_payer_twice_changes_nothing() -> None:
    waiting = payment.apply(a_payment(), ActionRequired("ref", "https://act"), NOW)
    assert payment.apply(waiting, ActionRequired("ref", "https://act"), LATER) is waiting


@pytest.mark.parametrize("outcome", [Unknown(), Charged("ref", Money(1, "EUR")), Charged("ref", Money(125_00, "USD"))])
def test_no_answer_and_an_untrue_one_change_nothing(outcome: Outcome) -> None:
    open_payment = a_payment()
    assert payment.apply(open_payment, outcome, LATER) is open_payment


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.DECLINED, State.CANCELED])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_end_is_final(state: State, outcome: Outcome) -> None:
    ended = a_payment(state)
    assert payment.apply(ended, outcome, LATER) is ended


@given(st.lists(st.sampled_from(OUTCOMES), max_size=12))
def test_whatever_the_order_of_answers_the_first_end_stays(outcomes: list[Outcome]) -> None:
    current = a_payment()
    ends = []
    for outcome in outcomes:
        current = payment.apply(current, outcome, LATER)
        assert current.is_open == (current.completed_at is None)
        if not current.is_open:
            ends.append(current)
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        (State.PROCESSING, CHARGED, False),
        (State.SUCCEEDED, CHARGED, False),
        (State.CANCELED, CHARGED, True),
        (State.DECLINED, CHARGED, True),
        (State.PROCESSING, Charged("ref", Money(1, "EUR")), True),
        (State.CANCELED, Canceled(), False),
    ],
)
def test_charge_that_the_books_do_not_know_of_is_noticed(state: State, outcome: Outcome, expected: bool) -> None:
    assert payment.contradicts(a_payment(state), outcome) is expected


def test_what_the_payer_is_told() -> None:
    declined = payment.apply(a_payment(), Declined("ref", "card_declined"), NOW)
    refusal = payment.refusal(declined, Unknown())
    assert isinstance(refusal, PaymentDeclined)
    assert refusal.metadata == {"decline_code": "card_declined"}
    assert isinstance(payment.refusal(a_payment(State.CANCELED), MethodUnknown()), PaymentMethodInvalid)
    assert payment.refusal(a_payment(State.SUCCEEDED), CHARGED) is None
    assert payment.refusal(a_payment(), Unknown()) is None


@pytest.mark.parametrize(
    ("outcome", "seconds", "expected"),
    [
        (None, 29, False),
        (None, 30, True),
        (Unknown(), 10**6, False),
        (ActionRequired("ref", "https://act"), 3599, False),
        (ActionRequired("ref", "https://act"), 3600, True),
        (CHARGED, 10**6, False),
    ],
)
def test_when_a_payment_is_given_up(outcome: Outcome | None, seconds: int, expected: bool) -> None:
    assert payment.is_overdue(a_payment(), outcome, NOW + timedelta(seconds=seconds)) is expected


def asked_at() -> list[timedelta]:
    """The ages at which the provider is asked for a payment that stays unknown."""
    return list(accumulate(payment.ask_after(attempt) for attempt in range(10)))


def test_provider_is_asked_every_few_minutes_while_the_objective_can_be_kept() -> None:
    objective = timedelta(minutes=15)
    early = [age for age in asked_at() if age < objective]
    assert early[0] == timedelta(seconds=30)
    assert max(later - sooner for sooner, later in pairwise([*early, objective])) <= timedelta(minutes=4)
    assert early[-1] >= objective - timedelta(minutes=1)


def test_payment_is_given_up_soon_after_the_hour_of_its_payer() -> None:
    assert timedelta() < min(age for age in asked_at() if age >= ACTION_WITHIN) - ACTION_WITHIN < timedelta(minutes=1)


def test_provider_is_asked_once_a_day_in_the_end() -> None:
    ages = asked_at()
    assert ages[-1] - ages[-2] == payment.ask_after(1000) == timedelta(days=1)
