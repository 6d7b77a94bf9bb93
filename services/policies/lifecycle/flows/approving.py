"""Asking for what somebody else has to decide, and deciding it, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from services.policies.lifecycle.rules import approval
from services.policies.lifecycle.rules.approval import Approval, Wanted
from services.policies.lifecycle.store import approvals


def ask(session: Session, policy_id: UUID, wanted: Wanted, asked_by: str, needed: str, now: datetime) -> Approval:
    """Save what somebody asks for, of a policy that is locked. Who asks for the same while it waits gets the same."""
    for waiting in approvals.list_waiting(session, policy_id, now):
        if (waiting.wanted, waiting.asked_by) == (wanted, asked_by):
            return waiting
    asked = approval.ask(ids.new(), policy_id, wanted, asked_by, needed, now)
    approvals.add(session, asked)
    audit.record(
        session,
        "approval_asked_for",
        ids.encode("pol", policy_id),
        after={"action": wanted.action, "until": asked.until},
        approval_id=ids.encode("apr", asked.id),
        transaction_id=ids.encode("ptx", wanted.transaction_id) if wanted.transaction_id else "",
    )
    return asked


def decide(
    session: Session,
    approval_id: UUID,
    subject: str,
    roles: AbstractSet[str],
    now: datetime,
    *,
    is_approved: bool,
    reason: str,
) -> Approval:
    """Save a decision, of an approval whose policy is locked. What is approved is to be done in the same transaction.

    Raises what `approval.decide` raises.
    """
    waiting = approvals.lock(session, approval_id)
    if waiting is None:
        raise ResourceNotFound(resource="approval")
    decided = approval.decide(waiting, subject, roles, now, is_approved=is_approved, reason=reason)
    approvals.save(session, decided)
    audit.record(
        session,
        "approval_decided",
        ids.encode("pol", decided.policy_id),
        before={"state": waiting.state(now)},
        after={"state": decided.state(now), "reason": reason},
        approval_id=ids.encode("apr", decided.id),
        asked_by=decided.asked_by,
    )
    return decided
