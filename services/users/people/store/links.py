"""Who acts for whom, in the database."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.users.people.store.rows import LinkRow

_links = LinkRow.__table__
_PARTIES = sa.select(_links.c.customer_id).where(_links.c.user_id == sa.bindparam("user"))
_ADD = sa.insert(_links)


def find_parties(session: Session, user_id: UUID) -> frozenset[UUID]:
    """The customers for whom a user acts, beside the own one."""
    return frozenset(session.scalars(_PARTIES, {"user": user_id}))


def add(session: Session, user_id: UUID, customer_id: UUID, now: datetime) -> None:
    """Let a user act for a customer."""
    session.execute(_ADD, {"user_id": user_id, "customer_id": customer_id, "linked_at": now})
