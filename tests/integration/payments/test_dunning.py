"""Dunning of policies on a real server and a real database: day by day, from the due date to the lapse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest

from bazaruto.payments.v1 import delinquency_pb2 as pb
from libs import clock, ids
from libs.calendar import months_after
from libs.jobs import nightly
from libs.jobs.nightly import Night, Occurrence, Run, within
from libs.rpc import values
from services.payments.billing.flows import invoicing
from services.payments.billing.jobs import dunning as dunning_jobs
from services.payments.billing.kinds import RUN_DUNNING
from services.payments.billing.rules.delinquency import State
from services.payments.billing.rules.payment_method import PaymentMethod
from services.payments.billing.store import accounts, invoices, payment_methods
from services.payments.collection.flows import collecting
from tests.integration.payments.house import House
from tests.integration.payments.test_applying import STARTS_ON, Contract, Kind, line, minor
from tests.support.errors import reason_of
from tests.support.people import People, new_key
from tests.support.waiting import until

DUE_ON = months_after(STARTS_ON, 1)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
INSTALLMENT = 117_00
"""A twelfth of 1404.00; the fee of 25.00 stands in the first one."""


@dataclass
class Debtor:
    """A policy that is paid in twelve, of which the first was paid, and the second was billed and not."""

    contract: Contract
    clock_file: Path
    invoice_id: str = ""

    def __post_init__(self) -> None:
        house, person = self.contract.house, self.contract.person
        first = self.contract.issue(12).invoices[0]
        house.pay(person, first.invoice_id)
        self.invoice_id = self.bill(DUE_ON)

    @property
    def house(self) -> House:
        return self.contract.house

    @property
    def account_id(self) -> UUID:
        return ids.decode("pol", self.contract.policy_id)

    def bill(self, until: date) -> str:
        """Bill what falls due by a day; gives the newest invoice."""
        with self.house.database.transaction() as session:
            invoicing.issue_due_invoices(session, self.account_id, until, at(DUE_ON - timedelta(days=7)))
        return max(part.invoice_id for part in self.contract.billing().installments if part.invoice_id)

    def read(self) -> pb.Delinquency:
        """The newest delinquency, with its steps."""
        metadata = self.contract.person.metadata()
        request = pb.ListDelinquenciesRequest(policy_id=self.contract.policy_id)
        listed = self.house.delinquencies.ListDelinquencies(request, metadata=metadata).delinquencies
        request_one = pb.GetDelinquencyRequest(delinquency_id=listed[0].delinquency_id)
        one: pb.Delinquency = self.house.delinquencies.GetDelinquency(request_one, metadata=metadata)
        return one

    def move(self, days: int) -> None:
        """Move the clock to the run so many days after the due date."""
        offset = at(day(days)) - clock.real_now()
        self.clock_file.write_text(json.dumps({clock.OFFSET: offset // timedelta(microseconds=1)}))
        clock.follow(self.clock_file)

    def run(self, days: int) -> None:
        """The run so many days after the due date."""
        self.move(days)
        self.house.run_dunning(at(day(days)))

    def go_on(self, days: int) -> pb.Delinquency:
        """The run so many days after the due date, and what it leaves."""
        self.run(days)
        return self.read()

    def actions(self) -> list[tuple[str, bool]]:
        """The steps, and whether each was done."""
        return [
            (pb.DunningStep.Action.Name(step.action).removeprefix("ACTION_"), step.HasField("done_time"))
            for step in self.read().steps
        ]


def at(on: date) -> datetime:
    """When the run begins on a day."""
    return datetime.combine(on, time(3, 43), UTC)


def day(count: int) -> date:
    return DUE_ON + timedelta(days=count)


def on(message: Any) -> date:
    """The day of a message."""
    return date(message.year, message.month, message.day)


def state_of(delinquency: pb.Delinquency) -> str:
    return pb.Delinquency.State.Name(delinquency.state).removeprefix("STATE_")


@pytest.fixture
def debtor(house: House, people: People, tmp_path: Path) -> Iterator[Debtor]:
    yield Debtor(Contract(house, people.customer()), tmp_path / "clock")
    clock.follow(None)


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
    (told,) = house.policies.delinquencies
    assert (told.version, told.state, told.grace_ends_on, told.due_on) == (3, State.IN_GRACE, day(30), DUE_ON)

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
    told = house.policies.delinquencies[-1]
    assert (told.state, told.version) == (State.LAPSED, lapsed.version)
    assert [told.version for told in house.policies.delinquencies] == sorted(
        {told.version for told in house.policies.delinquencies}
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
            house.dunning.look_after(session, debtor.account_id, Night("", clock.now(), clock.now()))
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


def test_arrears_that_are_found_at_a_reinstatement_are_due_with_the_next_invoice(debtor: Debtor) -> None:
    contract, house = debtor.contract, debtor.house
    for days in (1, 15, 30):
        debtor.run(days)
    house.work()
    given_back = (line(Kind.KIND_PREMIUM, -1000_00, "own_damage"), line(Kind.KIND_TAX, -170_00, "premium_tax"))
    contract.apply("LAPSE", *given_back, effective_date=values.date_to_proto(day(30)))
    assert state_of(debtor.read()) == "LAPSED"
    charged = (line(Kind.KIND_PREMIUM, 1000_00, "own_damage"), line(Kind.KIND_TAX, 170_00, "premium_tax"))
    contract.apply("REINSTATEMENT", *charged, effective_date=values.date_to_proto(day(30)))
    back = debtor.read()
    assert (state_of(back), back.ending) == ("SETTLED", pb.Delinquency.ENDING_REINSTATED)
    deferred = house.get_invoice(contract.person, debtor.invoice_id)
    assert on(deferred.due_date) >= day(30)
    assert not deferred.HasField("past_due_time")
    assert debtor.go_on(30).delinquency_id == back.delinquency_id
    house.work()
    assert house.policies.delinquencies[-1].state is State.SETTLED


def test_suspended_delinquency_does_not_lapse(debtor: Debtor, people: People) -> None:
    house, finance = debtor.house, people.user("finance")
    for days in (1, 15, 20):
        debtor.run(days)
    until_day = values.date_to_proto(day(50))
    suspend = pb.SuspendDelinquencyRequest(
        delinquency_id=debtor.read().delinquency_id, until_date=until_day, reason="in hospital"
    )
    suspended = house.delinquencies.SuspendDelinquency(suspend, metadata=finance.metadata(idempotency_key=new_key()))
    assert (state_of(suspended), on(suspended.suspended_until_date)) == ("SUSPENDED", day(50))
    assert state_of(debtor.go_on(40)) == "SUSPENDED"
    house.work()
    assert house.policies.delinquencies[-1].suspension is not None
    going_on = debtor.go_on(50)
    assert (state_of(going_on), on(going_on.grace_end_date)) == ("IN_GRACE", day(60))
    resume = pb.ResumeDelinquencyRequest(delinquency_id=going_on.delinquency_id)
    with pytest.raises(grpc.RpcError) as refused:
        house.delinquencies.ResumeDelinquency(resume, metadata=finance.metadata(idempotency_key=new_key()))
    assert reason_of(refused.value) == "DELINQUENCY_STATE_INVALID"
    assert state_of(debtor.go_on(60)) == "LAPSING"
    suspend.until_date.CopyFrom(values.date_to_proto(day(70)))
    with pytest.raises(grpc.RpcError) as refused:
        house.delinquencies.SuspendDelinquency(suspend, metadata=finance.metadata(idempotency_key=new_key()))
    assert reason_of(refused.value) == "DELINQUENCY_STATE_INVALID"


def test_finance_goes_on_with_a_suspended_delinquency(debtor: Debtor, people: People) -> None:
    house, finance = debtor.house, people.user("finance")
    debtor.run(5)
    request = pb.SuspendDelinquencyRequest(
        delinquency_id=debtor.read().delinquency_id, until_date=values.date_to_proto(day(50)), reason="disputed"
    )
    key = new_key()
    for _ in range(2):
        house.delinquencies.SuspendDelinquency(request, metadata=finance.metadata(idempotency_key=key))
    debtor.move(8)
    resumed = house.delinquencies.ResumeDelinquency(
        pb.ResumeDelinquencyRequest(delinquency_id=request.delinquency_id),
        metadata=finance.metadata(idempotency_key=new_key()),
    )
    assert (state_of(resumed), on(resumed.grace_end_date)) == ("IN_GRACE", day(33))


def test_delinquency_is_shown_to_whom_it_concerns(debtor: Debtor, people: People) -> None:
    debtor.run(1)
    request = pb.GetDelinquencyRequest(delinquency_id=debtor.read().delinquency_id)
    for role in ("finance", "admin"):
        shown = debtor.house.delinquencies.GetDelinquency(request, metadata=people.user(role).metadata())
        assert shown.delinquency_id == request.delinquency_id
    for stranger in (people.customer(), people.agent(), people.user("underwriter")):
        with pytest.raises(grpc.RpcError) as refused:
            debtor.house.delinquencies.GetDelinquency(request, metadata=stranger.metadata())
        assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


def test_policy_whose_first_premium_is_not_paid_is_not_dunned(house: House, people: People) -> None:
    Contract(house, people.customer()).issue(12)
    house.run_dunning(at(day(40)))
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)]


def test_retry_collects_where_the_payer_agreed_to_it(debtor: Debtor) -> None:
    house = debtor.house
    with house.database.transaction() as session:
        payer_id = ids.decode("usr", debtor.contract.person.user_id)
        method = PaymentMethod(ids.new(), payer_id, "sandbox", "blue Visa", "You may collect.", True, clock.now())
        payment_methods.add(session, method, "pm_card_ok")
        held = accounts.lock(session, debtor.account_id)
        assert held is not None
        accounts.save(session, replace(held, autopay=True, payment_method_id=method.id))
    debtor.run(1)
    assert "payments.collect" in house.work()
    assert state_of(debtor.read()) == "SETTLED"


def test_account_that_cannot_be_looked_after_is_parked_and_the_others_go_on(
    debtor: Debtor, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = debtor.house
    other = Debtor(Contract(house, people.customer()), debtor.clock_file)
    look_after = house.dunning.look_after

    def fail(session: Any, account_id: UUID, night: Night) -> None:
        look_after(session, account_id, night)
        if account_id == debtor.account_id:
            raise ValueError("this one is not as it should be")

    run = Run(RUN_DUNNING, dunning_jobs.list_due, dunning_jobs.count_due, within(fail))
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
        house.dunning.look_after(session, debtor.account_id, Night("", clock.now(), clock.now()))
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)]
    debtor.run(2)
    debtor.run(3)
    assert house.quotes.asked == [("motor", 2)], "each version is asked for once"
    assert state_of(debtor.read()) == "IN_GRACE"
