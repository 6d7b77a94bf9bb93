"""What is insured, by what it is told by: the index that finds a policy by a plate."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.policies.lifecycle.rules.insured import Insured
from services.policies.lifecycle.store.rows import ObjectRow

_objects = ObjectRow.__table__
_ADD = sa.insert(_objects)
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("key"), 0)))
_DELETE = sa.delete(_objects).where(_objects.c.policy_id == sa.bindparam("key"))


def lock(session: Session, product_code: str, insured: Sequence[Insured]) -> None:
    """Keep the same objects from being insured by another policy of the product until the transaction ends."""
    for key in sorted({f"{product_code}:{item.object_code}:{item.identifier}" for item in insured}):
        session.execute(_LOCK, {"key": key})


def find_insured_by_others(session: Session, product_code: str, insured: Insured) -> Sequence[UUID]:
    """The policies of the product that insure the same object on some of the same days, however they stand."""
    query = sa.select(_objects.c.policy_id).where(
        _objects.c.identifier == insured.identifier,
        _objects.c.object_code == insured.object_code,
        _objects.c.product_code == product_code,
        _objects.c.starts_on < insured.ends_on,
        _objects.c.ends_on > insured.starts_on,
    )
    return session.scalars(query.order_by(_objects.c.policy_id)).unique().all()


def add(session: Session, policy_id: UUID, product_code: str, insured: Sequence[Insured]) -> None:
    """Make what a policy insures be found."""
    if insured:
        session.execute(
            _ADD,
            [
                {
                    "policy_id": policy_id,
                    "object_id": item.object_id,
                    "object_code": item.object_code,
                    "product_code": product_code,
                    "identifier": item.identifier,
                    "starts_on": item.starts_on,
                    "ends_on": item.ends_on,
                }
                for item in insured
            ],
        )


def save(session: Session, policy_id: UUID, product_code: str, insured: Sequence[Insured]) -> None:
    """Make what a policy insures now be found, and nothing else of it."""
    session.execute(_DELETE, {"key": policy_id})
    add(session, policy_id, product_code, insured)
