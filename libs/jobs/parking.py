"""Items that nightly runs could not do: parked with the reason, until they succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

_parked = sa.Table(
    "parked_items",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Uuid, primary_key=True),
    sa.Column("run_id", sa.Uuid),
    sa.Column("reason", sa.Text),
    sa.Column("tries", sa.Integer),
    sa.Column("tried_at", sa.DateTime(timezone=True)),
)
_ADD = insert(_parked)
_PARK = _ADD.on_conflict_do_update(
    index_elements=["name", "item_id"],
    set_={
        "run_id": _ADD.excluded.run_id,
        "reason": _ADD.excluded.reason,
        "tries": _parked.c.tries + 1,
        "tried_at": sa.func.now(),
    },
)
_RELEASE = (
    sa.delete(_parked)
    .where(
        _parked.c.name == sa.bindparam("run_name"),
        _parked.c.item_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
    )
    .returning(_parked.c.run_id)
)


def count(session: Session, name: str) -> int:
    """How many items of a kind of run are parked."""
    return session.scalar(sa.select(sa.func.count()).where(_parked.c.name == name)) or 0


def list_behind(session: Session, name: str, after: UUID, limit: int) -> Sequence[UUID]:
    """The items of a kind of run that are parked, by their ids, behind `after`."""
    query = sa.select(_parked.c.item_id).where(_parked.c.name == name, _parked.c.item_id > after)
    return session.scalars(query.order_by(_parked.c.item_id).limit(limit)).all()


def release(session: Session, name: str, run_id: UUID, item_ids: Sequence[UUID]) -> int:
    """Items that were done are no longer parked; gives how many of them the run itself had parked."""
    if not item_ids:
        return 0
    gone = session.scalars(_RELEASE, {"run_name": name, "ids": list(item_ids)})
    return sum(parked_by == run_id for parked_by in gone)


def park(session: Session, name: str, run_id: UUID, reasons: Mapping[UUID, str]) -> int:
    """Park items, each with why it could not be done; gives how many the run itself had not parked before."""
    if not reasons:
        return 0
    same_run = sa.select(_parked.c.item_id).where(_parked.c.name == name, _parked.c.run_id == run_id)
    before = session.scalars(same_run.where(_parked.c.item_id.in_(reasons))).all()
    rows = [
        {"name": name, "item_id": item_id, "run_id": run_id, "reason": reason} for item_id, reason in reasons.items()
    ]
    session.execute(_PARK, rows)
    return len(reasons) - len(before)
