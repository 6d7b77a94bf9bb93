"""Where policies, billing and the ledger do not agree: one row for each thing, gone when it is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.payments.billing.rules.reconciling import Difference
from services.payments.billing.store.rows import DifferenceRow

_differences = DifferenceRow.__table__
_ADD = insert(_differences)
_SAVE = _ADD.on_conflict_do_update(
    index_elements=["policy_id", "kind", "item"],
    set_={name: _ADD.excluded[name] for name in ("expected", "actual", "last_seen_at")},
)
_COUNT = sa.select(_differences.c.kind, sa.func.count()).group_by(_differences.c.kind)


def save(session: Session, differences: Mapping[UUID, Sequence[Difference]], now: datetime) -> None:
    """Keep exactly these differences of these policies."""
    rows = [
        {
            "policy_id": policy_id,
            "kind": difference.kind,
            "item": difference.item,
            "expected": difference.expected,
            "actual": difference.actual,
            "first_seen_at": now,
            "last_seen_at": now,
        }
        for policy_id, of_policy in differences.items()
        for difference in of_policy
    ]
    if rows:
        session.execute(_SAVE, rows)
    of_these = _differences.c.policy_id.in_(list(differences))
    session.execute(sa.delete(_differences).where(of_these, _differences.c.last_seen_at < now))


def list_policies(session: Session, after: UUID, last: UUID, limit: int) -> Sequence[UUID]:
    """Policies with differences behind `after`, up to `last`, by their ids."""
    policy_id = _differences.c.policy_id
    query = sa.select(policy_id).distinct().where(policy_id > after, policy_id <= last).order_by(policy_id).limit(limit)
    return session.scalars(query).all()


def find_counts(session: Session) -> dict[str, int]:
    """How many there are of each kind; kinds without any are left out."""
    return {row[0]: row[1] for row in session.execute(_COUNT)}
