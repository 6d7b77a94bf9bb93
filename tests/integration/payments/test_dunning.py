"""Dunning of policies on a real server and a real database: day by day, from the due date to the lapse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import grpc
import pytest

from bazaruto.payments.v1 import delinquency_pb2 as pb
from libs import clock, ids
from libs.calendar import months_after
from libs.jobs import nightly
from libs.jobs.nightly import Batched, Night, Occurrence, Run
from libs.rpc import values
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.billing.kinds import RUN_DUNNING
from services.payments.billing.rules.delinquency import State
from services.payments.billing.store import invoices
from services.payments.collection.flows import collecting
from tests.integration.payments.debtor import DUE_ON, INSTALLMENT, Debtor, at, day, debtor, on, state_of
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import STARTS_ON, Contract, Kind, line, minor
from tests.support.errors import reason_of
from tests.support.people import People
from tests.support.waiting import until

__all__ = ["debtor"]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def test_policy_lapses_day_by_day(debtor: Debtor, people: People) -> None:
    house, contract = debtor.house, debtor.contract
    debtor.run(0)
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)], "it may be paid on its last day"

    began = debtor.go_on(1)
    assert (state_of(began), began.version, minor(began.past_due)) == ("IN_GRACE", 3, INSTALLMENT)
    assert on(began.grace_end_date) == day(30)
    assert debtor.actions() == [
        ("RETRY", True),
        ("REMIND", False),
        ("RETRY", False),
        ("NOTICE", False),
        ("LAPSE", False),
    ]
    assert [on(step.planned_date) for step in began.steps[1:]] == [
        day(3), day(10), day(15), day(30),
    ]  # fmt: skip
    assert house.get_invoice(contract.person, debtor.invoice_id).HasField("past_due_time")
    house.work()
    (recorded,) = house.policies.delinquencies
    assert (recorded.version, recorded.state, recorded.grace_ends_on, recorded.due_on) == (
        3,
        State.IN_GRACE,
        day(30),
        DUE_ON,
    )

    debtor.go_on(3)
    debtor.go_on(3)
    assert [done for _, done in debtor.actions()] == [True, True, False, False, False]
    noticed = debtor.go_on(15)
    assert [done for _, done in debtor.actions()] == [True, True, True, True, False]
    assert minor(noticed.steps[3].past_due) == INSTALLMENT
    assert on(noticed.steps[3].grace_end_date) == day(30)

    assert state_of(debtor.go_on(29)) == "IN_GRACE"
    assert state_of(debtor.go_on(30)) == "LAPSING"
    with pytest.raises(grpc.RpcError) as refused:
        house.pay(contract.person, debtor.invoice_id)
    assert reason_of(refused.value) == "POLICY_LAPSING"
    house.work()
    assert [(lapse.id, lapse.grace_ends_on) for lapse in house.policies.lapses] == [
        (ids.decode("dlq", noticed.delinquency_id), day(30))
    ]

    # Policies answers with its transaction: the premium behind the days of grace is given back.
    contract.apply(
        "LAPSE",
        line(Kind.KIND_PREMIUM, -1000_00, "own_damage"),
        line(Kind.KIND_TAX, -170_00, "premium_tax"),
        effective_date=values.date_to_proto(day(30)),
    )
    lapsed = debtor.read()
    assert state_of(lapsed) == "LAPSED"
    house.work()
    recorded = house.policies.delinquencies[-1]
    assert (recorded.state, recorded.version) == (State.LAPSED, lapsed.version)
    assert [recorded.version for recorded in house.policies.delinquencies] == sorted(
        {recorded.version for recorded in house.policies.delinquencies}
    )
    house.check_money()


def test_delinquency_ends_when_all_that_is_past_due_is_paid(debtor: Debtor) -> None:
    house, person = debtor.house, debtor.contract.person
    debtor.run(20)
    second = debtor.bill(months_after(STARTS_ON, 2))
    both = debtor.go_on(34)  # notice went out late: there is cover for as long as it promised
    assert (state_of(both), minor(both.past_due)) == ("IN_GRACE", 2 * INSTALLMENT)
    house.pay(person, debtor.invoice_id)
    rest = debtor.read()
    assert (state_of(rest), minor(rest.past_due), rest.version) == ("IN_GRACE", INSTALLMENT, both.version + 1)
    house.pay(person, second)
    settled = debtor.read()
    assert (state_of(settled), settled.ending, minor(settled.past_due)) == ("SETTLED", pb.Delinquency.ENDING_PAID, 0)
    house.work()
    assert house.policies.delinquencies[-1].state is State.SETTLED
    assert house.policies.lapses == []

    debtor.bill(months_after(STARTS_ON, 3))
    next_one = debtor.go_on(70)
    assert next_one.delinquency_id != settled.delinquency_id
    assert (state_of(next_one), on(next_one.due_date)) == ("IN_GRACE", months_after(STARTS_ON, 3))
    assert next_one.version > settled.version
    house.check_money()


def test_payment_that_is_under_way_keeps_the_policy_from_lapsing(debtor: Debtor) -> None:
    house, person = debtor.house, debtor.contract.person
    for days in (1, 15, 29):
        debtor.run(days)
    waiting = house.pay(person, debtor.invoice_id, "pm_card_action")
    assert state_of(debtor.go_on(30)) == "IN_GRACE"
    assert state_of(debtor.go_on(31)) == "IN_GRACE"
    house.confirm(person, waiting.payment_id)
    assert state_of(debtor.read()) == "SETTLED"
    house.work()
    assert house.policies.lapses == []


def test_lapse_waits_for_a_payment_that_is_just_begun(debtor: Debtor) -> None:
    """Two sessions: the payment holds the invoice, the run waits for it, and then sees a payment under way."""
    house = debtor.house
    for days in (1, 15):
        debtor.run(days)
    debtor.move(30)
    with ThreadPoolExecutor(1) as pool:
        with house.database.transaction() as session:
            unpaid = invoices.lock(session, ids.decode("inv", debtor.invoice_id))
            assert unpaid is not None
            begun = collecting.begin(session, unpaid, None, house.provider.name, clock.now())
            running = pool.submit(debtor.run, 30)
            until(lambda: house.rows(WAITING) == [(1,)], "the run does not wait for the payment")
        running.result(20)
    assert state_of(debtor.read()) == "IN_GRACE"
    house.record(begun.id, collecting.charge(house.provider, begun, "pm_card_ok"), clock.now())
    assert state_of(debtor.read()) == "SETTLED"


def test_payment_waits_for_a_lapse_that_is_just_decided(debtor: Debtor) -> None:
    """Two sessions the other way round: the lapse is decided, and the payment that waited for it is refused."""
    house, person = debtor.house, debtor.contract.person
    for days in (1, 15):
        debtor.run(days)
    debtor.move(30)
    with ThreadPoolExecutor(1) as pool:
        with house.database.transaction() as session:
            house.dunning.prepare(session, [debtor.account_id], Night("", clock.now(), clock.now()))(debtor.account_id)
            paying = pool.submit(house.pay, person, debtor.invoice_id)
            until(lambda: house.rows(WAITING) == [(1,)], "the payment does not wait for the lapse")
        with pytest.raises(grpc.RpcError) as refused:
            paying.result(20)
    assert reason_of(refused.value) == "POLICY_LAPSING"
    assert state_of(debtor.read()) == "LAPSING"
    assert house.rows("SELECT count(*) FROM payments WHERE status = 'succeeded'") == [(1,)]


def test_policy_that_ended_otherwise_ends_its_delinquency(debtor: Debtor) -> None:
    debtor.house.policies.needs_lapse = False
    for days in (1, 15, 30):
        debtor.run(days)
    debtor.house.work()
    ended = debtor.read()
    assert (state_of(ended), ended.ending) == ("SETTLED", pb.Delinquency.ENDING_POLICY_ENDED)
    assert debtor.go_on(31).delinquency_id == ended.delinquency_id, "what is owed for a policy that ended is not dunned"


def test_cancellation_ends_the_delinquency_on_its_day(debtor: Debtor) -> None:
    debtor.run(5)
    for effective, expected in ((day(9), "IN_GRACE"), (day(5), "SETTLED")):
        debtor.contract.apply(
            "CANCELLATION",
            line(Kind.KIND_PREMIUM, -500_00, "own_damage"),
            effective_date=values.date_to_proto(effective),
        )
        assert state_of(debtor.read()) == expected
    assert debtor.read().ending == pb.Delinquency.ENDING_POLICY_ENDED


def test_policy_whose_first_premium_is_not_paid_is_not_dunned(house: House, people: People) -> None:
    Contract(house, people.customer()).issue(12)
    house.run_dunning(at(day(40)))
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)]


def test_account_that_cannot_be_looked_after_is_parked_and_the_others_go_on(
    debtor: Debtor, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = debtor.house
    other = Debtor(Contract(house, people.customer()), debtor.clock_file)

    def prepare(session: Any, account_ids: Sequence[UUID], night: Night) -> Callable[[UUID], None]:
        look_after = house.dunning.prepare(session, account_ids, night)

        def fail(account_id: UUID) -> None:
            look_after(account_id)
            if account_id == debtor.account_id:
                raise ValueError("this one is not as it should be")

        return fail

    run = Run(RUN_DUNNING, dunning_jobs.list_due, dunning_jobs.count_due, Batched(prepare))
    debtor.move(1)
    house.dunning.learn_product_terms()
    occurrence = Occurrence(int(clock.now().timestamp()))
    nightly.carry_out(house.database, run, occurrence, nightly.night_at(clock.now()))
    assert state_of(other.read()) == "IN_GRACE"
    assert house.rows("SELECT account_id FROM delinquencies") == [(other.account_id,)]
    assert house.rows("SELECT item_id, reason FROM parked_items") == [
        (debtor.account_id, "ValueError: this one is not as it should be")
    ]


def test_run_leaves_out_whose_product_nobody_knows_yet(debtor: Debtor) -> None:
    house = debtor.house
    debtor.move(1)
    with house.database.transaction() as session:
        house.dunning.prepare(session, [debtor.account_id], Night("", clock.now(), clock.now()))(debtor.account_id)
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)]
    debtor.run(2)
    debtor.run(3)
    assert house.quotes.asked == [("motor", 2)], "each version is asked for once"
    assert state_of(debtor.read()) == "IN_GRACE"
