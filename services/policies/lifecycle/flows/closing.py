"""Closing a contract whose first premium was not paid in time, in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from services.policies.lifecycle.flows import billing
from services.policies.lifecycle.flows.changing import TimelineNotWritten
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.store import objects, policies, timelines, transactions


def close_not_taken(session: Session, policy_id: UUID, invoice_id: str, actor: str, now: datetime) -> bool:
    """Take a contract back of which nothing was paid. False when there is nothing to close: it was paid for, or ended
    otherwise. Once more, it changes nothing.

    `PolicyStateInvalid` as long as it can be paid.
    """
    pending = policies.lock(session, policy_id)
    if pending is None:
        raise ResourceNotFound(resource="policy")
    ended = pending.terms[0].ended
    if pending.activated_at is not None or ended is not None:
        return ended is not None and ended.kind is EndKind.NOT_TAKEN
    if not pending.has_timeline:
        raise TimelineNotWritten
    last = transactions.find_last(session, policy_id)
    billing_sequence = transactions.find_next_billing_sequence(session, policy_id)
    closed, closing = policy.close_not_taken(pending, last, invoice_id, billing_sequence, now, transaction_id=ids.new())
    term = closed.terms[0]
    transactions.add(session, policy_id, replace(closing, actor=actor), term.currency)
    timelines.add(session, policy_id, closing, term)
    objects.save(session, policy_id, closed.product_code, [])
    policies.save(session, closed)
    billing.have_applied(session, policy_id, closing)
    audit.record(
        session,
        "policy_not_taken",
        ids.encode("pol", policy_id),
        after={"state": closed.state(now)},
        invoice_id=invoice_id,
    )
    return True
