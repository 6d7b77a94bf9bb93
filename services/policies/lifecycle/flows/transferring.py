"""Giving a policy to other parties, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.db import Database
from services.policies.lifecycle.flows import billing
from services.policies.lifecycle.flows.changing import TimelineNotWritten
from services.policies.lifecycle.rules import parties
from services.policies.lifecycle.rules.contract import Changed
from services.policies.lifecycle.rules.parties import Handover, Parties
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import parties as handovers
from services.policies.lifecycle.store import policies, transactions

_ACTIONS = {
    parties.HOLDER: "policy_transferred",
    parties.PAYER: "policy_payer_set",
    parties.PARTNER: "policy_partner_changed",
}


def decide(session: Session, policy: Policy, handover: Handover, actor: str, now: datetime) -> Changed:
    """What a change of parties makes of a policy. `TimelineNotWritten` for one of before that has none yet."""
    if not policy.has_timeline:
        raise TimelineNotWritten
    last = transactions.find_last(session, policy.id)
    billing_sequence = transactions.find_next_billing_sequence(session, policy.id)
    after, transaction = parties.hand_over(policy, handover, last, billing_sequence, now, transaction_id=ids.new())
    return Changed(policy, after, replace(transaction, actor=actor))


def save(session: Session, changed: Changed, handover: Handover) -> None:
    """Save a change of the parties of a policy that is locked, with the job that tells payments."""
    policy, transaction = changed.after, changed.transaction
    transactions.add(session, policy.id, transaction, changed.currency)
    handovers.add(session, policy.id, transaction, handover)
    policies.save_parties(session, policy)
    billing.have_applied(session, policy.id, transaction)
    audit.record(
        session,
        _ACTIONS[handover.reason],
        ids.encode("pol", policy.id),
        before=_audited(handover.before),
        after=_audited(handover.after),
        transaction_id=ids.encode("ptx", transaction.id),
        effective_on=handover.effective_on,
        **({"consent": handover.consent} if handover.consent else {}),
    )


def serve_by(
    database: Database,
    policy_id: UUID,
    customer_id: UUID,
    version: int,
    partner_id: UUID | None,
    since: date,
    actor: str,
    now: datetime,
) -> bool:
    """Have a policy served by a partner, in a transaction of its own; False where nothing changes: it is so already,
    the policy has another holder by now, or a newer version of the customer is known. `TimelineNotWritten`.
    """
    with database.transaction() as session:
        policy = policies.lock(session, policy_id)
        if policy is None or policy.user_id != customer_id:
            return False
        if handovers.lock_version(session, customer_id) != version:
            return False
        source_id = f"{ids.encode('cus', customer_id)}:{version}"
        handover = parties.serve_by(policy, partner_id, since, source_id)
        if handover is None:
            return False
        save(session, decide(session, policy, handover, actor, now), handover)
    return True


def _audited(named: Parties) -> dict[str, object]:
    return {
        "customer_id": ids.encode("cus", named.holder),
        "payer_id": ids.encode("cus", named.payer),
        "partner_id": ids.encode("par", named.partner) if named.partner else "",
    }
