"""The calls that change what a policy insures: having a change priced, and putting it on the policy."""

from __future__ import annotations

from datetime import datetime

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import endorsement_pb2 as endorsement_pb
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.rpc import calls
from services.policies.lifecycle.flows import changing, endorsing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.flows.endorsing import Acting
from services.policies.lifecycle.messages.changes import result_to_proto
from services.policies.lifecycle.messages.endorsements import (
    conflicts_to_proto,
    request_from_proto,
    settlement_from_proto,
    usual_settlement,
)
from services.policies.lifecycle.messages.policies import etag_of
from services.policies.lifecycle.rules import endorsement
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.servicer.changing import Changing, acted_on, acting_roles
from services.policies.lifecycle.store import policies


class EndorsementCalls(Changing):
    """Endorsing policies."""

    def QuoteEndorsement(
        self, request: endorsement_pb.QuoteEndorsementRequest, context: grpc.ServicerContext
    ) -> pb.QuoteEndorsementResponse:
        policy_id, asked = ids.decode("pol", request.policy_id), request_from_proto(request)
        rules = self._rules_of(acted_on(policies.find_committed(self._database, policy_id)))
        now = clock.now()
        with self._database.snapshot() as session:
            policy = acted_on(policies.find(session, policy_id))
            calls.current().check_etag(etag_of(policy, now))
            base = changing.load(session, policy, rules)
        acting = Acting(acting_roles(policy), calls.scope())
        stretches, conflicts = endorsing.plan(base, asked, acting, now)
        sequence = endorsement.timeline_sequence(base.stack)
        made, quoted = self._quotes.create_change_quote(policy, sequence, stretches)
        reply = pb.QuoteEndorsementResponse(quote=made, conflicts=conflicts_to_proto(conflicts))
        if quoted is not None:
            usual = usual_settlement(endorsing.rule_for(base, asked.effective_on, acting.roles))
            changed = endorsing.foresee(base, quoted, now)
            transaction, is_billed = changed.transaction, changed.transaction.billing_sequence is not None
            forecast = (
                self._payments.preview_transaction(changed.after, transaction, changed.terms, usual)
                if is_billed
                else None
            )
            result = result_to_proto(changed, forecast, now, documents=(endorsing.DOCUMENT,), is_stored=False)
            reply.result.CopyFrom(result)
        return reply

    def IssueEndorsement(
        self, request: endorsement_pb.IssueEndorsementRequest, context: grpc.ServicerContext
    ) -> pb.TransactionResult:
        policy_id = ids.decode("pol", request.policy_id)
        acted_on(policies.find_committed(self._database, policy_id))  # before anything is said of the quote
        quote = self._quotes.get_quote(request.quote_id)

        def decide(session: Session, base: Contract, now: datetime) -> Decision:
            acting = Acting(acting_roles(base.policy), calls.scope())
            rule = endorsing.rule_for(base, quote.starts_on, acting.roles)
            return endorsing.decide(
                session,
                base,
                quote,
                acting,
                settlement_from_proto(request, rule),
                now,
                allows_duplicate=request.allow_duplicate,
            )

        return self._changed(policy_id, decide, only_checks=request.validate_only)
