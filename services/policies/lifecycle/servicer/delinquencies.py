"""The calls of the payments service about premium that is past due."""

from __future__ import annotations

import grpc

from bazaruto.policies.v1 import delinquency_pb2 as pb
from libs import clock, ids
from services.policies.lifecycle.flows import recording
from services.policies.lifecycle.messages.delinquencies import delinquency_from_proto
from services.policies.lifecycle.servicer.changing import Changing


class DelinquencyCalls(Changing):
    """Recording how far a policy is past due, and letting it lapse."""

    def RecordDelinquency(
        self, request: pb.RecordDelinquencyRequest, context: grpc.ServicerContext
    ) -> pb.RecordDelinquencyResponse:
        policy_id, told = ids.decode("pol", request.policy_id), delinquency_from_proto(request.delinquency)
        with self._database.transaction() as session:
            is_recorded = recording.record_delinquency(session, policy_id, told, clock.now())
        result = pb.RecordDelinquencyResponse
        return result(result=result.RESULT_RECORDED if is_recorded else result.RESULT_OUTDATED)
