"""The calls about who holds a policy, owes for it and serves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import parties_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.errors import FieldInvalid
from libs.rpc import calls, idempotency, values
from services.policies.lifecycle.flows import transferring
from services.policies.lifecycle.flows.changing import TimelineNotWritten
from services.policies.lifecycle.messages.changes import result_to_proto
from services.policies.lifecycle.rules import parties
from services.policies.lifecycle.rules.parties import Handover
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.servicer.changing import Changing
from services.policies.lifecycle.store import parties as handovers
from services.policies.lifecycle.store import policies

_AT_ONCE = 20  # policies that one call of `PartyChanged` looks at
Decide = Callable[[Session, Policy, datetime], Handover]
"""Decides a change of the parties of a policy at a moment, or raises what keeps it from being made."""


class PartyCalls(Changing):
    """Giving a policy to another holder, payer or partner."""

    def TransferPolicy(
        self, request: parties_pb2.TransferPolicyRequest, context: grpc.ServicerContext
    ) -> pb.TransactionResult:
        policy_id, holder = ids.decode("pol", request.policy_id), ids.decode("cus", request.customer_id, "customer_id")
        effective_on = values.optional_date(request, "effective_date")
        self._owned(policy_id)
        partner = self._users.partner_of(request.customer_id)

        def decide(session: Session, policy: Policy, now: datetime) -> Handover:
            own = calls.caller().own
            if not request.consent and not (own.covers(policy.user_id) and own.covers(holder)):
                raise FieldInvalid(violations={"consent": "is needed of a caller who does not act for both"})
            last_on = handovers.find_last_day(session, policy.id, parties.HOLDER)
            return parties.transfer(policy, holder, partner, effective_on, last_on, request.consent, now)

        return self._handed_over(policy_id, decide, only_checks=request.validate_only)

    def SetPayer(self, request: parties_pb2.SetPayerRequest, context: grpc.ServicerContext) -> pb.TransactionResult:
        policy_id, payer = ids.decode("pol", request.policy_id), ids.decode("cus", request.payer_id, "payer_id")
        if payer != self._owned(policy_id).user_id:
            self._users.check_customer(request.payer_id)

        def decide(session: Session, policy: Policy, now: datetime) -> Handover:
            return parties.pay_by(policy, payer, now)

        return self._handed_over(policy_id, decide, only_checks=request.validate_only)

    def PartyChanged(
        self, request: parties_pb2.PartyChangedRequest, context: grpc.ServicerContext
    ) -> parties_pb2.PartyChangedResponse:
        customer_id, version = ids.decode("cus", request.customer_id), request.version
        partner_id = ids.decode("par", request.partner_id, "partner_id") if request.partner_id else None
        since = values.date_from_proto(request.start_date, "start_date")
        after = ids.decode("pol", request.after_policy_id) if request.after_policy_id else None
        with self._database.transaction() as session:
            if not handovers.save_version(session, customer_id, version, partner_id, since):
                return parties_pb2.PartyChangedResponse()
            held = handovers.list_held(session, customer_id, after, _AT_ONCE)
        actor, changed, waiting = calls.caller().subject, 0, 0
        for policy_id in held:
            try:
                changed += transferring.serve_by(
                    self._database, policy_id, customer_id, version, partner_id, since, actor, clock.now()
                )
            except TimelineNotWritten:
                waiting += 1
        next_id = ids.encode("pol", held[-1]) if len(held) == _AT_ONCE else ""
        return parties_pb2.PartyChangedResponse(next_policy_id=next_id, changed=changed, waiting=waiting)

    def _owned(self, policy_id: UUID) -> Policy:
        """A policy that the caller may act on, as it is before it is locked."""
        return calls.owned(policies.find_committed(self._database, policy_id), "policy")

    def _handed_over(self, policy_id: UUID, decide: Decide, *, only_checks: bool) -> pb.TransactionResult:
        """Give a policy to other parties under its lock; or answer what it would be."""
        actor = calls.caller().subject
        with self._database.transaction() as session:
            if not only_checks:
                idempotency.claim(session)
            policy = calls.owned(policies.lock(session, policy_id), "policy")
            now = clock.now()
            handover = decide(session, policy, now)
            changed = transferring.decide(session, policy, handover, actor, now)
            reply = result_to_proto(changed, None, now, is_stored=not only_checks)
            reply.billing_pending = False  # there is no money to say anything of
            if not only_checks:
                transferring.save(session, changed, handover)
                idempotency.keep(session, reply)
        return reply
