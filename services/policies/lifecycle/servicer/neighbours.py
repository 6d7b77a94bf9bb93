"""The calls of the payments service: what became of a term's first premium, and what policies cost."""

from __future__ import annotations

from uuid import UUID

import grpc

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.rpc import calls, values
from services.policies.lifecycle.flows import activating, closing, renewing
from services.policies.lifecycle.messages.policies import policy_to_proto, written_to_proto
from services.policies.lifecycle.servicer.changing import Changing
from services.policies.lifecycle.store import policies, transactions


class NeighbourCalls(Changing):
    """Letting cover begin, closing a contract that nobody paid for, and saying what policies cost."""

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
        policy_id, actor = ids.decode("pol", request.policy_id), calls.caller().subject
        # What becomes of a next term is worked out by its product version; of a whole contract, nothing is left.
        rules = self._rules_of(self._visible(policy_id)) if request.term_number > 1 else {}
        with self._database.transaction() as session:
            if request.term_number > 1:
                is_closed = renewing.close_not_taken(
                    session, policy_id, request.term_number, request.invoice_id, rules, actor, clock.now()
                )
            else:
                is_closed = closing.close_not_taken(session, policy_id, request.invoice_id, actor, clock.now())
        result = pb.CloseNotTakenResponse.RESULT_CLOSED if is_closed else pb.CloseNotTakenResponse.RESULT_NOT_NEEDED
        return pb.CloseNotTakenResponse(result=result)

    def SumWrittenPremiums(
        self, request: pb.SumWrittenPremiumsRequest, context: grpc.ServicerContext
    ) -> pb.SumWrittenPremiumsResponse:
        after = (
            ids.decode("pol", request.after_policy_id, "after_policy_id") if request.after_policy_id else UUID(int=0)
        )
        with self._database.snapshot() as session:
            terms = policies.find_terms_behind(session, after, request.limit)
            billed = transactions.find_last_billed(session, list(terms))
        sums = [written_to_proto(policy_id, terms[policy_id], billed.get(policy_id)) for policy_id in terms]
        return pb.SumWrittenPremiumsResponse(policies=sums)
