"""Marking on a policy what is claimed under it, in the caller's transaction: how claims tells lifecycle of losses."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from libs.errors import ResourceNotFound
from services.policies.lifecycle.rules.loss import LossMark
from services.policies.lifecycle.store import losses, policies


def mark(session: Session, policy_id: UUID, loss: LossMark) -> None:
    """Mark a loss, or what became of it, with the policy locked: no change takes its cover away at the same time."""
    if policies.lock(session, policy_id) is None:
        raise ResourceNotFound(resource="policy")
    losses.save(session, policy_id, loss)
