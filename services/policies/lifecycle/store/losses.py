"""The marks that losses leave on a policy, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs import ids
from services.policies.lifecycle.rules.loss import LossMark, LossState
from services.policies.lifecycle.store.rows import LossMarkRow

_marks = LossMarkRow.__table__
_OF_POLICY = sa.select(*_marks.c).where(_marks.c.policy_id == sa.bindparam("policy_id")).order_by(_marks.c.loss_at)
_SAVE = insert(_marks)
_SAVE = _SAVE.on_conflict_do_update(
    index_elements=["policy_id", "claim_id", "object_id", "coverage_code"],
    set_={name: _SAVE.excluded[name] for name in ("loss_at", "state", "is_paid")},
)


def list_of_policy(session: Session, policy_id: UUID) -> Sequence[LossMark]:
    """The marks of a policy, by the moments of the losses."""
    return [mark_from_row(row) for row in session.execute(_OF_POLICY, {"policy_id": policy_id})]


def save(session: Session, policy_id: UUID, mark: LossMark) -> None:
    """Mark a loss on a policy, or what became of it."""
    session.execute(_SAVE, {"policy_id": policy_id, **row_from_mark(mark)})


def row_from_mark(mark: LossMark) -> dict[str, Any]:
    """What the row of a mark says of it alone."""
    return {
        "claim_id": ids.decode("clm", mark.claim_id),
        "object_id": mark.object_id,
        "coverage_code": mark.coverage_code,
        "loss_at": mark.loss_at,
        "state": mark.state,
        "is_paid": mark.is_paid,
    }


def mark_from_row(row: Any) -> LossMark:
    """The mark of a row."""
    return LossMark(
        ids.encode("clm", row.claim_id),
        row.object_id,
        row.coverage_code,
        row.loss_at,
        LossState(row.state),
        row.is_paid,
    )
