"""The calls that put a policy back, or take a transaction of it back."""

from __future__ import annotations

from datetime import datetime

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import policy_pb2, reinstatement_pb2
from libs import ids
from libs.rpc import calls
from services.policies.lifecycle.flows import reinstating, reversing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import approval, reversal
from services.policies.lifecycle.rules.approval import Action, Wanted
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from services.policies.lifecycle.servicer.asking import Asking
from services.policies.lifecycle.servicer.changing import CUSTOMER, UNDERWRITER, acted_on, acting_roles
from services.policies.lifecycle.store import policies


class ReinstatementCalls(Asking):
    """Reinstating policies, and reversing transactions."""

    def ReinstatePolicy(
        self, request: reinstatement_pb2.ReinstatePolicyRequest, context: grpc.ServicerContext
    ) -> policy_pb2.TransactionResult:
        policy = acted_on(policies.find_committed(self._database, ids.decode("pol", request.policy_id)))
        asked, arrears = Reinstatement(request.with_gap, request.no_loss_statement), self._arrears(policy)

        def decide(session: Session, made: Contract, now: datetime) -> Decision:
            return reinstating.decide(session, made, asked, arrears, now)

        roles = acting_roles(policy)
        if request.validate_only or (UNDERWRITER in roles and CUSTOMER not in roles):
            return self._changed(policy.id, decide, only_checks=request.validate_only)
        wanted = Wanted(Action.REINSTATE_POLICY, reason=asked.statement, with_gap=asked.with_gap)
        return self._asked(policy, decide, wanted, approval.UNDERWRITER)

    def ReversePolicyTransaction(
        self, request: reinstatement_pb2.ReversePolicyTransactionRequest, context: grpc.ServicerContext
    ) -> policy_pb2.TransactionResult:
        policy = acted_on(policies.find_committed(self._database, ids.decode("pol", request.policy_id)))
        transaction_id, by_admin = ids.decode("ptx", request.transaction_id), approval.ADMIN in calls.caller().roles

        def decide(session: Session, made: Contract, now: datetime) -> Decision:
            target = reversing.target_of(made, transaction_id)
            reversal.check_day(target, made.policy.time_zone, now, by_admin=by_admin)
            return reversing.decide(made, transaction_id, "", now)

        if request.validate_only:
            return self._changed(policy.id, decide, only_checks=True)
        wanted = Wanted(Action.REVERSE_TRANSACTION, transaction_id, request.reason)
        return self._asked(policy, decide, wanted, approval.ADMIN)
