"""A stream that tells a policy whenever it changes."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.rpc.streams import OF_ONE
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People


def test_watch_sends_the_policy_now_and_after_each_change(house: House, people: People) -> None:
    person = people.customer()
    issued = house.issue(person)
    watch = house.stub.WatchPolicy(
        pb.WatchPolicyRequest(policy_id=issued.policy_id), metadata=person.metadata(), timeout=10
    )
    assert next(watch).state == pb.Policy.STATE_PENDING
    request = pb.ActivatePolicyRequest(policy_id=issued.policy_id, payment_id=ids.encode("pay", ids.new()))
    request.paid_time.FromDatetime(datetime.now(UTC))
    house.stub.ActivatePolicy(request, metadata=people.service("payments-worker").metadata())
    assert next(watch).state == pb.Policy.STATE_IN_FORCE
    watch.cancel()


def test_watching_an_unknown_policy_fails_before_anything_is_sent(house: House, people: People) -> None:
    request = pb.WatchPolicyRequest(policy_id=ids.encode("pol", ids.new()))
    with pytest.raises(grpc.RpcError) as refused:
        next(house.stub.WatchPolicy(request, metadata=people.customer().metadata()))
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


def test_caller_with_many_streams_is_refused_another_and_nobody_else_is(house: House, people: People) -> None:
    greedy, other = people.customer(), people.customer()
    request = pb.WatchPolicyRequest(policy_id=house.issue(greedy).policy_id)
    streams = [house.stub.WatchPolicy(request, metadata=greedy.metadata(), timeout=30) for _ in range(OF_ONE)]
    for stream in streams:
        next(stream)
    with pytest.raises(grpc.RpcError) as refused:
        next(house.stub.WatchPolicy(request, metadata=greedy.metadata(), timeout=30))
    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    mine = pb.WatchPolicyRequest(policy_id=house.issue(other).policy_id)
    assert next(house.stub.WatchPolicy(mine, metadata=other.metadata(), timeout=30)).policy_id == mine.policy_id
    for stream in streams:
        stream.cancel()
