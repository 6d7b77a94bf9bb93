"""The calls of the payments service about premium that is past due."""

from __future__ import annotations

import grpc

from bazaruto.policies.v1 import delinquency_pb2 as pb
from libs import clock, ids
from libs.rpc import calls
from services.policies.lifecycle.flows import lapsing, recording
from services.policies.lifecycle.messages.delinquencies import delinquency_from_proto, lapse_from_proto
from services.policies.lifecycle.servicer.changing import Changing, acted_on
from services.policies.lifecycle.store import policies

_CALLERS = ("payments",)


class DelinquencyCalls(Changing):
    """Recording how far a policy is past due, and letting it lapse."""

    def RecordDelinquency(
        self, request: pb.RecordDelinquencyRequest, context: grpc.ServicerContext
    ) -> pb.RecordDelinquencyResponse:
        policy_id, delinquency = ids.decode("pol", request.policy_id), delinquency_from_proto(request.delinquency)
        with self._database.transaction() as session:
            is_recorded = recording.record_delinquency(session, policy_id, delinquency, clock.now())
        result = pb.RecordDelinquencyResponse
        return result(result=result.RESULT_RECORDED if is_recorded else result.RESULT_OUTDATED)

    def LapsePolicy(self, request: pb.LapsePolicyRequest, context: grpc.ServicerContext) -> pb.LapsePolicyResponse:
        policy_id, asked = ids.decode("pol", request.policy_id), lapse_from_proto(request)
        rules = self._rules_of(acted_on(policies.find_committed(self._database, policy_id), _CALLERS))
        with self._database.transaction() as session:
            actor, now = calls.caller().subject, clock.now()
            transaction_id = lapsing.lapse_policy(session, policy_id, asked, rules, actor, now)
        if transaction_id is None:
            return pb.LapsePolicyResponse(result=pb.LapsePolicyResponse.RESULT_NOT_NEEDED)
        return pb.LapsePolicyResponse(
            result=pb.LapsePolicyResponse.RESULT_LAPSED, transaction_id=ids.encode("ptx", transaction_id)
        )
