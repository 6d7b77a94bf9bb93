"""Processes and providers that fail in the middle of a payment: it comes to an end, and nobody is charged twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.payments.v1 import payment_pb2 as pb
from libs import ids
from services.payments.billing.kinds import Collect
from services.payments.collection.flows import collecting
from services.payments.collection.rules.payment import GIVEN_UP_AFTER, PaymentInProgress, State
from services.payments.collection.rules.provider import Canceled, Charged, Declined, Unknown
from tests.integration.payments.house import House
from tests.support.errors import reason_of
from tests.support.people import People, new_key

# Ahead of the clock, so that the janitor's job is not due however long the run takes to come here.
NOW = datetime.now(UTC) + timedelta(hours=1)
SOON = NOW + GIVEN_UP_AFTER


def test_charge_whose_answer_was_lost_is_found_without_a_second_one(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)
    lost = house.pay(person, invoice_id, "pm_card_timeout", key=key)
    assert lost.state == pb.Payment.STATE_PROCESSING
    ((at, arguments),) = house.rows("SELECT scheduled_at, args FROM procrastinate_jobs WHERE status = 'todo'")
    assert 25 < (at - datetime.now(UTC)).total_seconds() <= 30
    house.registered.run("payments.settle", arguments)
    assert house.get_payment(person, lost.payment_id).state == pb.Payment.STATE_SUCCEEDED
    assert house.pay(person, invoice_id, "pm_card_timeout", key=key).payment_id == lost.payment_id
    assert len(house.provider.asked) == 1
    assert house.work() == ["payments.confirm_premium"]
    house.check_money()


@pytest.mark.parametrize("error", [RuntimeError("garbage"), TimeoutError(), ValueError("no JSON")])
def test_provider_that_fails_in_any_way_leaves_an_unknown_outcome(
    house: House, people: People, error: Exception
) -> None:
    person, key = people.customer(), new_key()
    invoice_id = house.invoice_of(person)
    house.provider.breaks = error
    first = house.pay(person, invoice_id, key=key)
    house.provider.breaks = None
    assert first.state == pb.Payment.STATE_PROCESSING
    assert house.pay(person, invoice_id, key=key) == first
    assert house.settle(ids.decode("pay", first.payment_id), SOON).state is State.SUCCEEDED
    assert len(house.provider.asked) == 1
    house.check_money()


def test_crash_before_the_charge_ends_in_a_cancellation(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    payment = house.begin(invoice_id, NOW)
    assert house.settle(payment.id, NOW + timedelta(seconds=1)).state is State.PROCESSING
    assert house.settle(payment.id, SOON).state is State.CANCELED
    assert house.pay(person, invoice_id).state == pb.Payment.STATE_SUCCEEDED
    house.check_money()


def test_process_that_wakes_up_after_the_cancellation_charges_nothing(house: House, people: People) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)
    house.settle(payment.id, SOON)
    outcome = collecting.charge(house.provider, payment, "pm_card_ok")
    assert outcome == Canceled()
    assert house.record(payment.id, outcome, SOON).state is State.CANCELED
    house.check_money()


def test_crash_between_the_charge_and_its_record_is_made_good(house: House, people: People) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)
    outcome = collecting.charge(house.provider, payment, "pm_card_ok")
    assert house.settle(payment.id, SOON).state is State.SUCCEEDED
    assert house.record(payment.id, outcome, SOON).state is State.SUCCEEDED
    assert house.work() == ["payments.confirm_premium"]
    house.check_money()


def test_decline_after_a_crash_is_found_too(house: House, people: People) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)
    collecting.charge(house.provider, payment, "pm_card_declined")
    settled = house.settle(payment.id, SOON)
    assert (settled.state, settled.decline_code) == (State.DECLINED, "card_declined")
    house.check_money()


def test_no_payment_is_begun_that_the_deadline_leaves_no_time_for(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    with pytest.raises(grpc.RpcError) as refused:
        house.pay(person, invoice_id, timeout=0.9)
    assert reason_of(refused.value) == "DEADLINE_TOO_SHORT"
    assert house.rows("SELECT count(*) FROM payments") == [(0,)]
    assert house.provider.asked == []


@pytest.mark.parametrize(("timeout", "most"), [(3, 2.5), (60, 15)])
def test_provider_gets_less_time_than_the_call_and_never_more_than_its_own(
    house: House, people: People, timeout: float, most: float
) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person), timeout=timeout)
    (waited,) = house.provider.waited
    assert most - 1 < waited <= most


def test_call_and_jobs_that_race_record_one_outcome(house: House, people: People) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)
    outcome = collecting.charge(house.provider, payment, "pm_card_ok")

    def step(number: int) -> State:
        if number % 2:
            return house.settle(payment.id, SOON).state
        return house.record(payment.id, outcome, SOON).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(step, range(8))) == {State.SUCCEEDED}
    assert house.rows("SELECT version FROM payments") == [(2,)]
    assert house.rows("SELECT count(*) FROM journals WHERE rule = 'payment_captured'") == [(1,)]
    assert house.work() == ["payments.confirm_premium"]
    house.check_money()


def test_late_and_untrue_answers_change_nothing(house: House, people: People) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)
    too_much = Charged("ref", payment.amount + payment.amount)
    assert house.record(payment.id, too_much, NOW).state is State.PROCESSING
    collecting.charge(house.provider, payment, "pm_card_ok")
    house.settle(payment.id, SOON)
    for outcome in (Declined("ref", "late"), Canceled(), Unknown(), too_much):
        assert house.record(payment.id, outcome, SOON).state is State.SUCCEEDED
    house.check_money()


def test_provider_is_asked_again_while_it_does_not_answer(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = house.begin(house.invoice_of(people.customer()), NOW)

    def fail(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(house.provider, "find", fail)
    for attempt in range(7):
        assert house.settle(payment.id, SOON, attempt).state is State.PROCESSING
    waits = house.rows("SELECT args->>'attempt', scheduled_at FROM procrastinate_jobs ORDER BY id")
    assert [(attempt, round((at - SOON).total_seconds() / 60)) for attempt, at in waits[1:]] == [
        ("1", 2),
        ("2", 4),
        ("3", 4),
        ("4", 4),
        ("5", 46),
        ("6", 24 * 60),
        ("7", 24 * 60),
    ]


@pytest.mark.parametrize("minutes", [1, 6, 14])
def test_short_outage_of_the_provider_costs_no_payment_its_objective(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    payment, find = house.begin(house.invoice_of(people.customer()), NOW), house.provider.find
    collecting.charge(house.provider, payment, "pm_card_ok")  # whose answer is lost
    asked = NOW

    def find_after_the_outage(*about: Any) -> Any:
        if asked < NOW + timedelta(minutes=minutes):
            raise TimeoutError
        return find(*about)

    monkeypatch.setattr(house.provider, "find", find_after_the_outage)
    latest = "SELECT scheduled_at, (args->>'attempt')::int FROM procrastinate_jobs ORDER BY id DESC LIMIT 1"
    state = State.PROCESSING
    while state is State.PROCESSING:
        ((asked, attempt),) = house.rows(latest)
        state = house.settle(payment.id, asked, attempt).state
    assert state is State.SUCCEEDED
    assert asked - NOW < timedelta(minutes=15)
    house.check_money()


def test_payer_who_never_acts_frees_the_invoice(house: House, people: People) -> None:
    person = people.customer()
    invoice_id = house.invoice_of(person)
    waiting = ids.decode("pay", house.pay(person, invoice_id, "pm_card_action").payment_id)
    assert house.settle(waiting, datetime.now(UTC) + timedelta(minutes=5)).state is State.REQUIRES_ACTION
    assert house.settle(waiting, datetime.now(UTC) + timedelta(hours=1)).state is State.CANCELED
    # The provider will not have it confirmed any more.
    assert house.provider.confirm(waiting, 1) == Canceled()
    assert house.pay(person, invoice_id).state == pb.Payment.STATE_SUCCEEDED
    house.check_money()


def test_first_premium_is_collected_with_the_token_of_the_purchase(house: House, people: People) -> None:
    house.open(people.customer(), payment_method="pm_card_ok")
    assert house.work() == ["payments.collect", "payments.confirm_premium"]
    assert len(house.policies.activated) == 1
    house.check_money()


@pytest.mark.parametrize(
    ("card", "status"),
    [
        ("pm_card_declined", "declined"),
        ("pm_nonsense", "canceled"),
        ("pm_card_action", "requires_action"),
        ("pm_card_timeout", "processing"),
    ],
)
def test_first_premium_that_is_not_collected_is_no_failure_of_the_job(
    house: House, people: People, card: str, status: str
) -> None:
    house.open(people.customer(), payment_method=card)
    assert house.work() == ["payments.collect"]
    assert house.rows("SELECT status FROM payments") == [(status,)]


def test_collecting_job_that_runs_twice_charges_once(house: House, people: People) -> None:
    invoice_id = ids.decode("inv", house.invoice_of(people.customer(), payment_method="pm_card_ok"))
    for _ in range(2):
        house.handlers.collect(Collect(invoice_id))
    assert len(house.provider.asked) == 1
    house.check_money()


def test_collecting_job_that_died_on_the_way_goes_on_when_its_payment_came_to_an_end(
    house: House, people: People
) -> None:
    invoice_id = house.invoice_of(people.customer(), payment_method="pm_card_ok")
    died = house.begin(invoice_id, NOW)
    with pytest.raises(PaymentInProgress):
        house.work()
    house.settle(died.id, SOON)
    assert house.work() == ["payments.collect", "payments.confirm_premium"]
    assert house.rows("SELECT status FROM payments ORDER BY id") == [("canceled",), ("succeeded",)]
    house.check_money()


def test_declined_card_is_not_charged_again_when_the_job_runs_again(house: House, people: People) -> None:
    invoice_id = house.invoice_of(people.customer(), payment_method="pm_card_declined")
    for _ in range(2):
        house.handlers.collect(Collect(ids.decode("inv", invoice_id)))
    assert len(house.provider.asked) == 1
    assert house.rows("SELECT status FROM payments") == [("declined",)]


def test_old_idempotency_keys_are_forgotten(house: House, people: People) -> None:
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    house.registered.run("payments.reap_idempotency_keys")
    assert house.rows("SELECT count(*) FROM idempotency_keys") == [(1,)]
    house.rows("UPDATE idempotency_keys SET created_at = now() - interval '73 hours' RETURNING key")
    house.rows(
        "INSERT INTO idempotency_keys (subject, method, key, fingerprint, created_at)"
        " SELECT subject, method, generate_series(1, 2500)::text, fingerprint, created_at FROM idempotency_keys"
        " RETURNING 1"
    )
    house.registered.run("payments.reap_idempotency_keys")
    assert house.rows("SELECT count(*) FROM idempotency_keys") == [(0,)]
