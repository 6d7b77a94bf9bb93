"""Putting a policy in force, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.db import when_committed
from libs.errors import ResourceNotFound
from services.policies.lifecycle import measures
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import policies, transactions


def activate(session: Session, policy_id: UUID, payment_id: str, paid_at: datetime) -> Policy:
    """Put a policy in force because its first premium is paid. The same payment again changes nothing.

    `PolicyStateInvalid` when another payment put it in force before.
    """
    pending = policies.lock(session, policy_id)
    if pending is None:
        raise ResourceNotFound(resource="policy")
    stack = transactions.list_behind(session, policy_id, 0, 100)
    if any(transaction.source_id == payment_id for transaction in stack):
        return pending
    in_force, activation = policy.activate(pending, len(stack) + 1, payment_id, paid_at, transaction_id=ids.new())
    transactions.add(session, policy_id, activation)
    policies.save(session, in_force)
    audit.record(
        session,
        "policy_activated",
        ids.encode("pol", policy_id),
        before={"state": pending.state(paid_at)},
        after={"state": in_force.state(paid_at), "activated_at": in_force.activated_at},
        payment_id=payment_id,
    )
    when_committed(session, measures.activated.labels(in_force.product_code).inc)
    return in_force
