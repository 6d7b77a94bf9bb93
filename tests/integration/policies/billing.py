"""The payments service as far as it tells policies of premium that is past due."""

from __future__ import annotations

from datetime import date

from bazaruto.policies.v1 import delinquency_pb2
from libs import ids
from libs.rpc import values
from tests.integration.policies.house import House
from tests.support.people import People

State = delinquency_pb2.Delinquency


class Billing:
    """One episode of a policy that is past due."""

    def __init__(self, house: House, people: People, policy_id: str) -> None:
        self._house = house
        self._service = people.service("payments-worker")
        self._policy_id = policy_id
        self.delinquency_id = ids.encode("dlq", ids.new())

    def tell(self, version: int, state: State.State.ValueType, grace_ends_on: date | None = None) -> int:
        """Tell a version, and what came of it."""
        told = delinquency_pb2.Delinquency(delinquency_id=self.delinquency_id, version=version, state=state)
        told.past_due_amount.currency_code, told.past_due_amount.units = "EUR", 119
        if grace_ends_on:
            told.grace_end_date.CopyFrom(values.date_to_proto(grace_ends_on))
        request = delinquency_pb2.RecordDelinquencyRequest(policy_id=self._policy_id, delinquency=told)
        return self._house.stub.RecordDelinquency(request, metadata=self._service.metadata()).result

    def lapse(self, effective_on: date, version: int = 1) -> delinquency_pb2.LapsePolicyResponse:
        """Have the policy lapse."""
        request = delinquency_pb2.LapsePolicyRequest(
            policy_id=self._policy_id,
            delinquency_id=self.delinquency_id,
            version=version,
            effective_date=values.date_to_proto(effective_on),
        )
        return self._house.stub.LapsePolicy(request, metadata=self._service.metadata())
