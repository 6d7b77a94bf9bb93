"""The members of partners in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.users.partners.store.rows import MemberRow

_members = MemberRow.__table__
_PARTNER_OF = sa.select(_members.c.partner_id).where(_members.c.user_id == sa.bindparam("user"))
_OF_PARTNER = (
    sa.select(_members.c.user_id).where(_members.c.partner_id == sa.bindparam("partner")).order_by(_members.c.user_id)
)
_ADD = sa.insert(_members)
_DELETE = (
    sa.delete(_members)
    .where(_members.c.user_id == sa.bindparam("user"), _members.c.partner_id == sa.bindparam("partner"))
    .returning(_members.c.user_id)
)


def find_partner(session: Session, user_id: UUID) -> UUID | None:
    """The partner that a user is a member of."""
    return session.scalars(_PARTNER_OF, {"user": user_id}).one_or_none()


def list_members(session: Session, partner_id: UUID) -> Sequence[UUID]:
    """The users who are members of a partner."""
    return session.scalars(_OF_PARTNER, {"partner": partner_id}).all()


def add(session: Session, partner_id: UUID, user_id: UUID, now: datetime) -> None:
    """Make a user, who has to be locked, a member."""
    session.execute(_ADD, {"user_id": user_id, "partner_id": partner_id, "added_at": now})


def delete(session: Session, partner_id: UUID, user_id: UUID) -> bool:
    """End a membership; False when there was none."""
    return session.scalars(_DELETE, {"user": user_id, "partner": partner_id}).one_or_none() is not None
