"""Approvals in the database: what waits for a decision, and what was decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.policies.lifecycle.rules.approval import Action, Approval, ApprovalState, Wanted
from services.policies.lifecycle.store.rows import ApprovalRow

_approvals = ApprovalRow.__table__
_ADD = sa.insert(_approvals)
_BY_ID = sa.select(*_approvals.c).where(_approvals.c.id == sa.bindparam("id"))
_MOST_WAITING = 100  # of one policy that are compared with what is asked for


def find(session: Session, approval_id: UUID) -> Approval | None:
    """One approval."""
    row = session.execute(_BY_ID, {"id": approval_id}).one_or_none()
    return approval_from_row(row) if row else None


def lock(session: Session, approval_id: UUID) -> Approval | None:
    """One approval, kept from other decisions until the transaction ends. Its policy is locked before it."""
    row = session.execute(_BY_ID.with_for_update(), {"id": approval_id}).one_or_none()
    return approval_from_row(row) if row else None


def list_waiting(session: Session, policy_id: UUID, now: datetime) -> Sequence[Approval]:
    """What still can be decided of a policy, newest first."""
    return list_needing(session, None, policy_id, now, None, _MOST_WAITING)


def list_needing(
    session: Session,
    needed: Collection[str] | None,
    policy_id: UUID | None,
    undecided_at: datetime | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Approval]:
    """Approvals that need one of these roles, or any where it is None; newest first, behind that with the id `after`.

    Only those of a policy, and only those that still can be decided at a moment, where these are given.
    """
    query = sa.select(*_approvals.c).order_by(_approvals.c.id.desc()).limit(limit)
    if needed is not None:
        query = query.where(_approvals.c.needed.in_(sorted(needed)))
    if policy_id is not None:
        query = query.where(_approvals.c.policy_id == policy_id)
    if undecided_at is not None:
        query = query.where(_approvals.c.decided_as.is_(None), _approvals.c.until > undecided_at)
    if after is not None:
        query = query.where(_approvals.c.id < after)
    return [approval_from_row(row) for row in session.execute(query)]


def add(session: Session, approval: Approval) -> None:
    """Save something that waits."""
    session.execute(_ADD, row_from_approval(approval))


def save(session: Session, approval: Approval) -> None:
    """Save a decision. The database refuses a second one."""
    session.execute(sa.update(_approvals).where(_approvals.c.id == approval.id).values(changes_from_approval(approval)))


def row_from_approval(approval: Approval) -> dict[str, Any]:
    """The row of an approval."""
    wanted = approval.wanted
    return {
        "id": approval.id,
        "policy_id": approval.policy_id,
        "action": wanted.action,
        "transaction_id": wanted.transaction_id,
        "with_gap": wanted.with_gap,
        "ask_reason": wanted.reason,
        "asked_by": approval.asked_by,
        "asked_at": approval.asked_at,
        "needed": approval.needed,
        "until": approval.until,
        **changes_from_approval(approval),
    }


def changes_from_approval(approval: Approval) -> dict[str, Any]:
    """The part of its row that a decision fills in."""
    return {
        "decided_as": approval.decided_as,
        "decided_by": approval.decided_by,
        "decided_at": approval.decided_at,
        "decision_reason": approval.decision_reason,
    }


def approval_from_row(row: Any) -> Approval:
    """The approval of a row."""
    return Approval(
        row.id,
        row.policy_id,
        Wanted(Action(row.action), row.transaction_id, row.ask_reason, row.with_gap),
        row.asked_by,
        row.asked_at,
        row.needed,
        row.until,
        ApprovalState(row.decided_as) if row.decided_as else None,
        row.decided_by,
        row.decided_at,
        row.decision_reason,
    )
