"""Recording what payments says of a policy that is past due, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from services.policies.lifecycle.rules.delinquency import Delinquency, is_newer
from services.policies.lifecycle.store import delinquencies, policies


def record_delinquency(session: Session, policy_id: UUID, told: Delinquency, now: datetime) -> bool:
    """Save how a delinquency stands. False, and nothing changes, when what is known is as new, or newer."""
    if policies.lock(session, policy_id) is None:
        raise ResourceNotFound(resource="policy")
    known = delinquencies.find(session, policy_id)
    if not is_newer(told.version, known):
        return False
    delinquencies.save(session, policy_id, told, now)
    audit.record(
        session,
        "delinquency_recorded",
        ids.encode("pol", policy_id),
        before={"state": known.standing, "past_due": known.past_due} if known else None,
        after={"state": told.standing, "past_due": told.past_due, "grace_ends_on": told.grace_ends_on},
        delinquency_id=ids.encode("dlq", told.id),
        version=told.version,
    )
    return True
