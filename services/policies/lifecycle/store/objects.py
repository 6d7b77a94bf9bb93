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
_DELETE = sa.delete(_objects).where(_objects.c.policy_id == sa.bindparam("key"))


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
