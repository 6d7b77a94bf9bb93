"""What payments tells of premium that is past due, and what cover says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from bazaruto.policies.v1 import delinquency_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.calendar import day_of, start_of
from libs.rpc import values
from tests.integration.policies.billing import Billing, State
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People, Person

ZONE = "Africa/Maputo"
RECORDED = delinquency_pb2.RecordDelinquencyResponse.RESULT_RECORDED
OUTDATED = delinquency_pb2.RecordDelinquencyResponse.RESULT_OUTDATED


def cover(house: House, person: Person, policy_id: str, moment: datetime) -> pb.Cover:
    request = pb.GetCoverRequest(policy_id=policy_id, at_time=values.time_to_proto(moment))
    return house.stub.GetCover(request, metadata=person.metadata())


def test_cover_is_unclear_behind_the_end_of_grace_until_payments_says_how_it_ended(
    house: House, people: People
) -> None:
    person = people.customer()
    policy_id = house.issue(person).policy_id
    house.activate(policy_id, people.service("payments-worker"))
    billing = Billing(house, people, policy_id)
    grace_ends_on = day_of(datetime.now(UTC), ZONE) + timedelta(days=30)
    moment, instant = start_of(grace_ends_on, ZONE), timedelta(microseconds=1)
    assert billing.tell(1, State.STATE_IN_GRACE, grace_ends_on) == RECORDED

    before, after = cover(house, person, policy_id, moment - instant), cover(house, person, policy_id, moment)
    assert (before.in_force, before.reason) == (True, pb.Cover.REASON_UNSPECIFIED)
    assert (after.in_force, after.reason) == (False, pb.Cover.REASON_UNCLEAR)
    assert before.grace_end_date == after.grace_end_date == values.date_to_proto(grace_ends_on)
    assert after.coverages == before.coverages
    assert after.coverages

    assert billing.tell(2, State.STATE_SETTLED) == RECORDED
    settled = cover(house, person, policy_id, moment)
    assert settled.in_force
    assert not settled.HasField("grace_end_date")


def test_older_version_changes_nothing_in_whatever_order_they_come(house: House, people: People) -> None:
    policy_id = house.issue(people.customer()).policy_id
    billing = Billing(house, people, policy_id)
    told = [(version, State.STATE_IN_GRACE if version % 2 else State.STATE_SETTLED) for version in range(1, 9)]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda each: billing.tell(*each), [*told[::-1], *told]))
    known = house.rows("SELECT version, state FROM delinquencies")
    assert known == [(8, "settled")]
    entries = house.rows("SELECT count(*) FROM audit_events WHERE action = 'delinquency_recorded'")
    assert entries == [(results.count(RECORDED),)]
    assert [billing.tell(version, State.STATE_LAPSING) for version in (7, 8)] == [OUTDATED, OUTDATED]
    assert house.rows("SELECT version, state FROM delinquencies") == known


def test_delinquency_of_no_policy_is_refused(house: House, people: People) -> None:
    billing = Billing(house, people, ids.encode("pol", ids.new()))
    with pytest.raises(grpc.RpcError) as refused:
        billing.tell(1, State.STATE_PAST_DUE)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert house.rows("SELECT count(*) FROM delinquencies") == [(0,)]
