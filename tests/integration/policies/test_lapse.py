"""Policies that lapse because a premium was not paid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import grpc
import pytest

from bazaruto.policies.v1 import delinquency_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of, start_of
from tests.integration.policies.billing import Billing, State
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People, Person

ZONE = "Africa/Maputo"
LAPSED = delinquency_pb2.LapsePolicyResponse.RESULT_LAPSED
NOT_NEEDED = delinquency_pb2.LapsePolicyResponse.RESULT_NOT_NEEDED
STACK = "SELECT type, source_id FROM policy_transactions ORDER BY sequence"


def in_force(house: House, people: People, person: Person) -> tuple[str, date]:
    """A policy that is paid for, and its first day."""
    policy_id = house.issue(person).policy_id
    house.activate(policy_id, people.service("payments-worker"))
    return policy_id, day_of(datetime.now(UTC), ZONE)


def test_policy_lapses_at_the_end_of_its_grace_once_and_owes_its_days(house: House, people: People) -> None:
    person = people.customer()
    policy_id, first_day = in_force(house, people, person)
    billing, grace_ends_on = Billing(house, people, policy_id), first_day + timedelta(days=61)
    billing.tell(1, State.STATE_LAPSING, grace_ends_on)
    assert pb.Policy.FLAG_DELINQUENT in house.get(person, policy_id).flags
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: billing.lapse(grace_ends_on), range(8)))
    assert {(answer.result, answer.transaction_id) for answer in answers} == {(LAPSED, answers[0].transaction_id)}
    assert house.rows(STACK)[2:] == [("lapse", billing.delinquency_id)]
    assert house.rows("SELECT count(*) FROM audit_events WHERE action = 'policy_lapsed'") == [(1,)]
    moment, instant = start_of(grace_ends_on, ZONE), timedelta(microseconds=1)
    assert house.get(person, policy_id, effective_time=moment - instant).state == pb.Policy.STATE_IN_FORCE
    after = house.get(person, policy_id, effective_time=moment)
    assert after.state == pb.Policy.STATE_LAPSED
    # 900.00 × 61 / 365 and 300.00 × 61 / 365, each rounded, and 17 % of both; the fee of 25.00 is never prorated.
    owed = [(item.units, item.nanos // 10_000_000) for item in (after.term.premium.net, after.term.premium.tax)]
    assert owed == [(200, 55), (34, 9)]
    billing.tell(2, State.STATE_LAPSED)
    assert pb.Policy.FLAG_DELINQUENT not in house.get(person, policy_id).flags
    assert billing.lapse(grace_ends_on).transaction_id == answers[0].transaction_id


def test_delinquency_that_has_gone_on_lapses_nothing(house: House, people: People) -> None:
    policy_id, first_day = in_force(house, people, people.customer())
    billing = Billing(house, people, policy_id)
    billing.tell(5, State.STATE_SETTLED)
    answer = billing.lapse(first_day + timedelta(days=30), version=4)
    assert (answer.result, answer.transaction_id) == (NOT_NEEDED, "")
    assert [kind for kind, _ in house.rows(STACK)] == ["new_business", "activation"]


def test_contract_that_nobody_paid_for_does_not_lapse(house: House, people: People) -> None:
    policy_id = house.issue(people.customer()).policy_id
    billing = Billing(house, people, policy_id)
    assert billing.lapse(day_of(datetime.now(UTC), ZONE) + timedelta(days=1)).result == NOT_NEEDED


def test_lapse_that_is_told_after_the_term_comes_to_the_same(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    policy_id, first_day = in_force(house, people, person)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=400))
    billing = Billing(house, people, policy_id)
    assert billing.lapse(first_day + timedelta(days=365)).result == NOT_NEEDED
    assert billing.lapse(first_day + timedelta(days=360)).result == LAPSED
    assert house.get(person, policy_id).state == pb.Policy.STATE_LAPSED


def test_lapse_of_no_policy_is_refused(house: House, people: People) -> None:
    billing = Billing(house, people, ids.encode("pol", ids.new()))
    with pytest.raises(grpc.RpcError) as refused:
        billing.lapse(date(2027, 1, 1))
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
