"""How far users may decide alone, in the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.users.accounts.rules.authority import Authority
from services.users.accounts.store.rows import AuthorityRow

_authorities = AuthorityRow.__table__
_BY_USER = sa.select(*_authorities.c).where(_authorities.c.user_id == sa.bindparam("user"))
_new = insert(_authorities)
_SAVE = _new.on_conflict_do_update(
    index_elements=[_authorities.c.user_id],
    set_={column.name: _new.excluded[column.name] for column in _authorities.c if not column.primary_key},
)


def find(session: Session, user_id: UUID) -> Authority:
    """The authority of a user; one of nothing when it was never set."""
    row = session.execute(_BY_USER, {"user": user_id}).one_or_none()
    return authority_from_row(row) if row else Authority(user_id)


def save(session: Session, authority: Authority) -> None:
    """Save it. The user has to be locked, so that nobody else does meanwhile."""
    session.execute(_SAVE, row_from_authority(authority))


def row_from_authority(authority: Authority) -> dict[str, Any]:
    """The row of an authority."""
    return {column.name: getattr(authority, column.name) for column in _authorities.c}


def authority_from_row(row: Any) -> Authority:
    """The authority of a row."""
    return Authority(**{column.name: getattr(row, column.name) for column in _authorities.c})
