"""What the calls that change a policy share: finding what the caller may act on, deciding, saving, replying.

The order is the same in all of them. The policy is read, and what other services have to say is asked: the rules of the
product's versions, and what payments would make of the change. Then, in one transaction, the policy is locked, the
change is decided on what stands now, saved and answered. A call that only checks ends before the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock
from libs.db import Database
from libs.errors import DomainError, ResourceNotFound
from libs.rpc import calls, idempotency
from services.policies.clients import Payments, Quotes, Users
from services.policies.lifecycle.flows import changing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.messages.changes import result_to_proto
from services.policies.lifecycle.messages.policies import etag_of
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.settlement import Forecast
from services.policies.lifecycle.store import policies

Decide = Callable[[Session, Contract, datetime], Decision]
"""Decides a change of a contract at a moment, or raises what keeps it from being made. It may read; it never writes."""

CUSTOMER, AGENT, UNDERWRITER, ADMIN, SYSTEM = "customer", "agent", "underwriter", "admin", "system"
_STAFF: Final = frozenset({UNDERWRITER, "adjuster", "finance", ADMIN})


class Changing:
    """The ground of the calls of `PolicyService`."""

    def __init__(self, database: Database, quotes: Quotes, users: Users, payments: Payments) -> None:
        self._database = database
        self._quotes = quotes
        self._users = users
        self._payments = payments

    def _visible(self, policy_id: UUID) -> Policy:
        return calls.visible(policies.find_committed(self._database, policy_id), "policy")

    def _changed(
        self,
        policy_id: UUID,
        decide: Decide,
        *,
        only_checks: bool,
        services: Collection[str] = (),
        versions: Collection[int] = (),
    ) -> pb.TransactionResult:
        """Change a policy that the caller may act on; or answer what the change would be.

        `services` may act on it in their own name, too. `versions` are those of the product that the change itself
        brings along. Where the method honours `If-Match`, a call that only checks does, too.
        """
        rules = self._rules_of(acted_on(policies.find_committed(self._database, policy_id), services), versions)
        previewed, forecast = self._previewed(policy_id, decide, rules, services, only_checks=only_checks)
        if only_checks and previewed is not None:
            return _reply(previewed, forecast, clock.now(), is_stored=False)
        with self._database.transaction() as session:
            idempotency.claim(session)
            policy = acted_on(policies.lock(session, policy_id), services)
            # Read after the lock was waited for: what has begun meanwhile has begun.
            now = clock.now()
            decision = self._decided(session, policy, decide, rules, now)
            changing.save(session, decision, calls.caller().subject, now)
            is_foreseen = previewed is not None and _billed(previewed) == _billed(decision)
            reply = _reply(decision, forecast if is_foreseen else None, now)
            idempotency.keep(session, reply)
        return reply

    def _previewed(
        self,
        policy_id: UUID,
        decide: Decide,
        rules: Mapping[int, ProductRules],
        services: Collection[str],
        *,
        only_checks: bool,
    ) -> tuple[Decision | None, Forecast | None]:
        """The change as it would be made now, with what payments expects to come of it.

        What refuses it is raised where it is only checked. Otherwise it is decided once more under the lock: the first
        call with the same key may have made the change meanwhile.
        """
        try:
            with self._database.snapshot() as session:
                policy = acted_on(policies.find(session, policy_id), services)
                decision = self._decided(session, policy, decide, rules, clock.now())
        except DomainError:
            if only_checks:
                raise
            return None, None
        changed = decision.changed
        if changed.transaction.billing_sequence is None:
            return decision, None
        return decision, self._payments.preview_transaction(
            changed.after, changed.transaction, changed.terms, decision.settlement, decision.installments
        )

    def _decided(
        self, session: Session, policy: Policy, decide: Decide, rules: Mapping[int, ProductRules], now: datetime
    ) -> Decision:
        if calls.current().method.if_match:
            calls.current().check_etag(etag_of(policy, now))
        return decide(session, changing.load(session, policy, rules), now)

    def _rules_of(self, policy: Policy, versions: Collection[int] = ()) -> Mapping[int, ProductRules]:
        """The rules of the versions of the product that a policy has, and of others."""
        needed = {term.product_version for term in policy.terms}.union(versions)
        return {version: self._quotes.get_product_rules(policy.product_code, version) for version in sorted(needed)}


def acted_on(policy: Policy | None, services: Collection[str] = ()) -> Policy:
    """The policy, if the caller may act on it: a user who is shown it, or one of these services in its own name."""
    shown = calls.visible(policy, "policy")
    caller = calls.caller()
    if caller.user_id is None and caller.service.removesuffix("-worker") not in services:
        raise ResourceNotFound(resource="policy")
    return shown


def acting_roles(policy: Policy) -> frozenset[str]:
    """The roles in which the caller acts on a policy, as the rules of products name them.

    Staff never act as the customer, unless the policy is their own. Admins may do what underwriters may.
    """
    caller = calls.caller()
    if caller.user_id is None:
        return frozenset({SYSTEM})
    roles = set(caller.roles & _STAFF)
    if ADMIN in roles:
        roles.add(UNDERWRITER)
    if caller.own.covers(policy.user_id):
        roles.add(CUSTOMER)
    if policy.partner_id is not None and policy.partner_id == caller.partner:
        roles.add(AGENT)
    return frozenset(roles)


def _billed(decision: Decision) -> tuple[object, ...]:
    """What payments makes its forecast of."""
    transaction = decision.changed.transaction
    billed = (transaction.billing_sequence, transaction.effective_on, transaction.lines, transaction.reverses)
    return *billed, decision.settlement, decision.installments


def _reply(
    decision: Decision, forecast: Forecast | None, now: datetime, *, is_stored: bool = True
) -> pb.TransactionResult:
    changed = decision.changed
    return result_to_proto(
        changed,
        forecast,
        now,
        documents=decision.documents,
        refund_not_before=decision.settlement.refund_not_before,
        is_stored=is_stored,
    )
