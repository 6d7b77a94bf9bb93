"""Letting cover begin, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.db import when_committed
from libs.errors import ResourceNotFound
from services.policies.lifecycle import measures
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.transaction import TransactionType
from services.policies.lifecycle.store import policies, timelines, transactions


def activate(
    session: Session, policy_id: UUID, term_number: int, payment_id: str, paid_at: datetime, actor: str, now: datetime
) -> Policy:
    """Let cover of a term begin because its first premium is paid. The same payment again changes nothing.

    `PolicyStateInvalid` when another payment did it before, when the contract was closed as not taken, or when there is
    no such term.
    """
    pending = policies.lock(session, policy_id)
    if pending is None:
        raise ResourceNotFound(resource="policy")
    if transactions.find_by_source(session, policy_id, TransactionType.ACTIVATION, payment_id):
        return pending
    last = transactions.find_last(session, policy_id)
    paid, activation = policy.activate(pending, term_number, last, payment_id, paid_at, now, transaction_id=ids.new())
    term = next(each for each in paid.terms if each.number == term_number)
    transactions.add(session, policy_id, replace(activation, actor=actor), term.currency)
    if paid.has_timeline:
        timelines.add_same_segments(session, policy_id, activation, term)
    policies.save(session, paid)
    audit.record(
        session,
        "policy_activated",
        ids.encode("pol", policy_id),
        before={"state": pending.state(now)},
        after={"state": paid.state(now), "activated_at": paid.activated_at},
        payment_id=payment_id,
    )
    when_committed(session, measures.activated.labels(paid.product_code).inc)
    return paid
