"""Delinquencies that people stop, that end with a payment or a reinstatement, and who is shown them."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest

from bazaruto.payments.v1 import delinquency_pb2 as pb
from libs import clock, ids
from libs.rpc import values
from services.payments.billing.rules.delinquency import State
from services.payments.billing.rules.payment_method import PaymentMethod
from services.payments.billing.store import accounts, payment_methods
from tests.integration.payments.debtor import Debtor, day, debtor, on, state_of
from tests.integration.payments.test_applying import Kind, line
from tests.support.errors import reason_of
from tests.support.people import People, new_key

__all__ = ["debtor"]


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
