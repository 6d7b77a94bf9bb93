"""The calls of `PolicyApprovalService`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import approval_pb2 as pb
from bazaruto.policies.v1 import approval_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.errors import ResourceNotFound
from libs.money import Money
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.policies.lifecycle.flows import approving, changing, reinstating, reversing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.messages.approvals import approval_to_proto
from services.policies.lifecycle.messages.changes import result_to_proto
from services.policies.lifecycle.rules import approval
from services.policies.lifecycle.rules.approval import Action, Approval
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from services.policies.lifecycle.servicer.asking import Asking
from services.policies.lifecycle.store import approvals, policies


class ApprovalServicer(Asking, rpc_pb.PolicyApprovalServiceServicer):
    """Listing what waits for a decision, and deciding it."""

    def ListPolicyApprovals(
        self, request: pb.ListPolicyApprovalsRequest, context: grpc.ServicerContext
    ) -> pb.ListPolicyApprovalsResponse:
        caller, now = calls.caller(), clock.now()
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        page = Page.of(request, "approvals", caller.subject, request.policy_id, request.pending_only)
        with self._database.reading() as session:
            rows = approvals.list_needing(
                session,
                approval.decided_by(caller.roles),
                policy_id,
                now if request.pending_only else None,
                page.after_as(UUID),
                page.fetch,
            )
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListPolicyApprovalsResponse(
            approvals=[approval_to_proto(item, now) for item in shown], next_page_token=token
        )

    def DecidePolicyApproval(
        self, request: pb.DecidePolicyApprovalRequest, context: grpc.ServicerContext
    ) -> pb.PolicyApproval:
        approval_id, caller = ids.decode("apr", request.approval_id), calls.caller()
        is_approved = request.decision == pb.DecidePolicyApprovalRequest.DECISION_APPROVE
        with self._database.reading(fresh=True) as session:
            waiting = approvals.find(session, approval_id)
            policy = policies.find(session, waiting.policy_id) if waiting else None
        if waiting is None or policy is None:
            raise ResourceNotFound(resource="approval")
        # Asked before the transaction, and only where it is needed.
        rules = self._rules_of(policy) if is_approved else {}
        is_asked = is_approved and waiting.wanted.action is Action.REINSTATE_POLICY
        arrears = self._arrears(policy) if is_asked else Money.zero(policy.terms[0].currency)
        with self._database.transaction() as session:
            idempotency.claim(session)
            locked = policies.lock(session, policy.id) or policy
            now = clock.now()
            decided = approving.decide(
                session, approval_id, caller.subject, caller.roles, now, is_approved=is_approved, reason=request.reason
            )
            reply = approval_to_proto(decided, now)
            if is_approved:
                decision = decision_of(session, changing.load(session, locked, rules), decided, arrears, now)
                changing.save(session, decision, caller.subject, now)
                reply.result.CopyFrom(
                    result_to_proto(
                        decision.changed,
                        None,
                        now,
                        documents=decision.documents,
                        refund_not_before=decision.settlement.refund_not_before,
                    )
                )
            idempotency.keep(session, reply)
        return reply


def decision_of(session: Session, made: Contract, approved: Approval, arrears: Money, now: datetime) -> Decision:
    """What is to be done now that it is approved, checked again as things stand. Raises what refuses it."""
    wanted, source = approved.wanted, ids.encode("apr", approved.id)
    who = {"approval_id": source, "asked_by": approved.asked_by}
    match wanted.action:
        case Action.REINSTATE_POLICY:
            asked = Reinstatement(wanted.with_gap, wanted.reason)
            return reinstating.decide(session, made, asked, arrears, now, **who)
        case Action.REVERSE_TRANSACTION:
            return reversing.decide(made, wanted.transaction_id or UUID(int=0), source, now, **who)
