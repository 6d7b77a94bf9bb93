"""The calls about next terms: having one quoted, beginning it, and deciding whether there is one."""

from __future__ import annotations

from datetime import datetime

import grpc
from sqlalchemy.orm import Session

from bazaruto.policies.v1 import policy_pb2, renewal_pb2_grpc
from bazaruto.policies.v1 import renewal_pb2 as pb
from libs import clock, ids
from libs.rpc import calls, idempotency
from services.policies.lifecycle.flows import renewing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.messages.renewals import (
    etag_of,
    offer_to_proto,
    preference_from_proto,
    risk_from_proto,
    setting_to_proto,
)
from services.policies.lifecycle.rules import renewal
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.servicer.changing import Changing, acted_on
from services.policies.lifecycle.store import policies


class RenewalServicer(Changing, renewal_pb2_grpc.RenewalServiceServicer):
    """Answers the calls of `RenewalService`."""

    def QuoteRenewal(self, request: pb.QuoteRenewalRequest, context: grpc.ServicerContext) -> pb.RenewalOffer:
        policy_id = ids.decode("pol", request.policy_id)
        with self._database.snapshot() as session:
            acted_on(policies.find(session, policy_id))
            standing = renewing.find(session, policy_id)
        policy = standing.policy
        renewal.check_due(policy, self._rules_of_last(policy), standing.decision, clock.now())
        risk = risk_from_proto(request, renewal.risk_of_next(policy))
        key = idempotency.forwarded()
        offer = self._quotes.quote_next_term(policy, risk, standing.sequence, key, standing.quote_id)
        return offer_to_proto(policy, offer)

    def RenewPolicy(
        self, request: pb.RenewPolicyRequest, context: grpc.ServicerContext
    ) -> policy_pb2.TransactionResult:
        policy_id = ids.decode("pol", request.policy_id)
        acted_on(policies.find_committed(self._database, policy_id))
        quote = self._quotes.get_quote(request.quote_id)

        def decide(session: Session, contract: Contract, now: datetime) -> Decision:
            return renewing.renew(session, contract, quote, request.plan_code, now)

        return self._changed(
            policy_id,
            decide,
            only_checks=request.validate_only,
            versions=[quote.product_version],
        )

    def SetRenewalPreference(
        self, request: pb.SetRenewalPreferenceRequest, context: grpc.ServicerContext
    ) -> pb.RenewalSetting:
        policy_id = ids.decode("pol", request.policy_id)
        rules = self._rules_of_last(acted_on(policies.find_committed(self._database, policy_id)))
        with self._database.transaction() as session:
            idempotency.claim(session)
            standing = renewing.find(session, policy_id, locked=True)
            policy, caller = acted_on(standing.policy), calls.caller()
            calls.current().check_etag(etag_of(standing.decision))
            decision = renewing.decide(
                session,
                standing,
                rules,
                preference_from_proto(request),
                request.reason,
                by_insurer=not caller.book.covers(policy.user_id, policy.partner_id),
                actor=caller.subject,
                now=clock.now(),
            )
            reply = setting_to_proto(policy, decision)
            idempotency.keep(session, reply)
        return reply

    def _rules_of_last(self, policy: Policy) -> ProductRules:
        """The rules of the last term of a policy."""
        return self._quotes.get_product_rules(policy.product_code, renewal.last_term(policy).product_version)
