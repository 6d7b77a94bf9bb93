"""The calls of the payments service: what became of a term's first premium."""

from __future__ import annotations

import grpc

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.rpc import calls, values
from services.policies.lifecycle.flows import activating, closing
from services.policies.lifecycle.messages.policies import policy_to_proto
from services.policies.lifecycle.servicer.changing import Changing


class NeighbourCalls(Changing):
    """Letting cover begin, and closing a contract that nobody paid for."""

    def ActivatePolicy(self, request: pb.ActivatePolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        policy_id, paid_at = ids.decode("pol", request.policy_id), values.time_from_proto(request.paid_time)
        now = clock.now()
        with self._database.transaction() as session:
            contract = activating.activate(
                session, policy_id, request.term_number or 1, request.payment_id, paid_at, calls.caller().subject, now
            )
        return policy_to_proto(contract, now)

    def CloseNotTaken(
        self, request: pb.CloseNotTakenRequest, context: grpc.ServicerContext
    ) -> pb.CloseNotTakenResponse:
        policy_id = ids.decode("pol", request.policy_id)
        with self._database.transaction() as session:
            is_closed = closing.close_not_taken(
                session, policy_id, request.invoice_id, calls.caller().subject, clock.now()
            )
        result = pb.CloseNotTakenResponse.RESULT_CLOSED if is_closed else pb.CloseNotTakenResponse.RESULT_NOT_NEEDED
        return pb.CloseNotTakenResponse(result=result)
