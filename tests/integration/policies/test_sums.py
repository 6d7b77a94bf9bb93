"""What policies says that its contracts cost, for payments to compare with what it billed and booked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.money import Money
from libs.rpc import values
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People


def test_sums_are_those_of_the_timelines_and_go_on_from_page_to_page(house: House, people: People) -> None:
    issued = {policy.policy_id: policy for policy in (house.issue(people.customer()) for _ in range(5))}
    metadata = people.service("payments-worker").metadata()
    listed: list[pb.WrittenPremium] = []
    after = ""
    while page := house.stub.SumWrittenPremiums(
        pb.SumWrittenPremiumsRequest(after_policy_id=after, limit=2), metadata=metadata
    ).policies:
        assert len(page) <= 2
        listed += page
        after = page[-1].policy_id
    assert [written.policy_id for written in listed] == sorted(issued)
    for written in listed:
        assert (written.billing_sequence, written.HasField("issue_time")) == (1, True)
        premium = issued[written.policy_id].term.premium
        sums = [values.money_from_proto(getattr(written, name)) for name in ("premium", "retention", "tax", "fees")]
        assert sums[1] == Money.zero(sums[0].currency)
        assert [sums[0], *sums[2:]] == [
            values.money_from_proto(amount) for amount in (premium.net, premium.tax, premium.fees)
        ]


def test_contract_that_was_not_taken_costs_nothing(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy_id, payments = house.issue(people.customer()).policy_id, people.service("payments-worker").metadata()
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    request = pb.CloseNotTakenRequest(policy_id=policy_id, invoice_id=ids.encode("inv", ids.new()), term_number=1)
    house.stub.CloseNotTaken(request, metadata=payments)
    (written,) = house.stub.SumWrittenPremiums(pb.SumWrittenPremiumsRequest(limit=1), metadata=payments).policies
    assert written.billing_sequence == 2
    assert [values.money_from_proto(amount).minor for amount in (written.premium, written.tax, written.fees)] == [0] * 3


@pytest.mark.parametrize("limit", [0, 501])
def test_page_has_bounds(house: House, people: People, limit: int) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.SumWrittenPremiums(
            pb.SumWrittenPremiumsRequest(limit=limit), metadata=people.service("payments-worker").metadata()
        )
    assert reason_of(refused.value) == "INVALID_FIELD"
