"""What payments said last of policies on which something is past due, in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.money import Money
from services.policies.lifecycle.rules.delinquency import Delinquency, Standing
from services.policies.lifecycle.store.rows import DelinquencyRow

_delinquencies = DelinquencyRow.__table__
_OF_POLICY = sa.select(*_delinquencies.c).where(_delinquencies.c.policy_id == sa.bindparam("policy_id"))


def find(session: Session, policy_id: UUID) -> Delinquency | None:
    """What is known of a policy; None where nothing ever was past due."""
    row = session.execute(_OF_POLICY, {"policy_id": policy_id}).one_or_none()
    return delinquency_from_row(row) if row else None


def save(session: Session, policy_id: UUID, delinquency: Delinquency, now: datetime) -> None:
    """Save what is known of a policy that is locked. An older version never takes the place of a newer one."""
    row = row_from_delinquency(delinquency) | {"recorded_at": now}
    adding = insert(_delinquencies).values({"policy_id": policy_id, **row})
    saving = adding.on_conflict_do_update(
        index_elements=[_delinquencies.c.policy_id],
        set_=row,
        where=_delinquencies.c.version < adding.excluded.version,
    )
    session.execute(saving)


def row_from_delinquency(delinquency: Delinquency) -> dict[str, Any]:
    """What the row of a policy says of its delinquency."""
    return {
        "delinquency_id": delinquency.id,
        "version": delinquency.version,
        "state": delinquency.standing,
        "past_due": delinquency.past_due.minor,
        "currency": delinquency.past_due.currency,
        "since_on": delinquency.since_on,
        "grace_ends_on": delinquency.grace_ends_on,
    }


def delinquency_from_row(row: Any) -> Delinquency:
    """The delinquency of a row."""
    return Delinquency(
        row.delinquency_id,
        row.version,
        Standing(row.state),
        Money(row.past_due, row.currency),
        row.since_on,
        row.grace_ends_on,
    )
