"""What the calls share that somebody else may have to decide."""

from __future__ import annotations

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.money import Money
from libs.rpc import calls, idempotency
from services.policies.lifecycle.flows import approving
from services.policies.lifecycle.messages.changes import result_to_proto
from services.policies.lifecycle.rules import reinstatement
from services.policies.lifecycle.rules.approval import Wanted
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.servicer.changing import Changing, Decide, acted_on
from services.policies.lifecycle.store import policies


class Asking(Changing):
    """The ground of calls that are asked for, and of those that decide."""

    def _asked(self, policy: Policy, decide: Decide, wanted: Wanted, needed: str) -> pb.TransactionResult:
        """Check a change of a policy that the caller may act on, and have somebody of another role decide it.

        The answer says what it would come to, as things stand now, and names the approval.
        """
        rules = self._rules_of(policy)
        _, forecast = self._previewed(policy.id, decide, rules, (), only_checks=False)
        with self._database.transaction() as session:
            idempotency.claim(session)
            locked = acted_on(policies.lock(session, policy.id))
            now = clock.now()
            decision = self._decided(session, locked, decide, rules, now)
            approval = approving.ask(session, policy.id, wanted, calls.caller().subject, needed, now)
            reply = result_to_proto(
                decision.changed,
                forecast,
                now,
                documents=decision.documents,
                refund_not_before=decision.settlement.refund_not_before,
                is_stored=False,
            )
            reply.approval_id = ids.encode("apr", approval.id)
            idempotency.keep(session, reply)
        return reply

    def _arrears(self, policy: Policy) -> Money:
        """What is past due of a policy that is to be put back; nothing where there is none to put back."""
        if not reinstatement.has_ended(policy, clock.now()):
            return Money.zero(policy.terms[0].currency)
        return self._payments.past_due_of(policy.id)
