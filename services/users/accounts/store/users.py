"""Users in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.users.accounts.rules.user import Role, State, User
from services.users.accounts.store.rows import UserRow

_users = UserRow.__table__

# The hash of the password is read to log in, and for nothing else.
_USER = sa.select(*(column for column in _users.c if column is not _users.c.password_hash))
_BY_ID = _USER.where(_users.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update()
# In one order, so that two who take rights from each other do not wait for each other.
_LOCKED_ADMINS = _USER.where(sa.text("'admin' = ANY (roles)")).order_by(_users.c.id).with_for_update()
_BY_EMAIL = sa.select(*_users.c).where(_users.c.email == sa.bindparam("email"))
_ADD = sa.insert(_users)
_SAVE = (
    sa.update(_users)
    .where(_users.c.id == sa.bindparam("key"), _users.c.version == sa.bindparam("known_version"))
    .returning(_users.c.id)
)
_SAVE_PASSWORD_HASH = sa.update(_users).where(
    _users.c.id == sa.bindparam("key"), _users.c.password_hash == sa.bindparam("known_hash")
)


def find(session: Session, user_id: UUID) -> User | None:
    """The user as they are."""
    row = session.execute(_BY_ID, {"id": user_id}).one_or_none()
    return user_from_row(row) if row else None


def lock(session: Session, user_id: UUID) -> User | None:
    """The user as they are, kept from other changes until the transaction ends."""
    row = session.execute(_LOCKED, {"id": user_id}).one_or_none()
    return user_from_row(row) if row else None


def lock_admins(session: Session) -> Sequence[User]:
    """Every admin, active or not, kept from other changes until the transaction ends. Before any other user is."""
    return [user_from_row(row) for row in session.execute(_LOCKED_ADMINS)]


def find_credentials(session: Session, email: str) -> tuple[User, str] | None:
    """The user of an address, with the hash of their password."""
    row = session.execute(_BY_EMAIL, {"email": email}).one_or_none()
    return (user_from_row(row), row.password_hash) if row else None


def list_of(session: Session, scope: Scope, after: UUID | None, limit: int) -> Sequence[User]:
    """The users of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_USER, scope, owner=_users.c.id).order_by(_users.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(_users.c.id < after)
    return [user_from_row(row) for row in session.execute(query)]


def list_behind(session: Session, behind: UUID, limit: int) -> Sequence[User]:
    """Users in the order of their making, behind an id. For jobs: it leaves nobody out."""
    query = _USER.where(_users.c.id > behind).order_by(_users.c.id).limit(limit)
    return [user_from_row(row) for row in session.execute(query)]


def add(session: Session, user: User, password_hash: str) -> None:
    """Save a new user. The index `idx_users_email` refuses an address that is there already."""
    session.execute(_ADD, row_from_user(user, password_hash))


def save(session: Session, user: User) -> bool:
    """Save a changed user; False when somebody else changed them since the version before was read."""
    parameters = {"key": user.id, "known_version": user.version - 1, **changes_from_user(user)}
    return session.execute(_SAVE, parameters).one_or_none() is not None


def save_password_hash(session: Session, user_id: UUID, old: str, new: str) -> None:
    """Save a stronger hash of the same password, unless the password was changed meanwhile."""
    session.execute(_SAVE_PASSWORD_HASH, {"key": user_id, "known_hash": old, "password_hash": new})


def row_from_user(user: User, password_hash: str) -> dict[str, Any]:
    """The row of a user."""
    return {
        "id": user.id,
        "email": user.email,
        "password_hash": password_hash,
        "created_at": user.created_at,
        **changes_from_user(user),
    }


def changes_from_user(user: User) -> dict[str, Any]:
    """What a change of a user changes in their row."""
    return {
        "full_name": user.full_name,
        "phone": user.phone,
        "locale": user.locale,
        "roles": [role.value for role in user.roles],
        "state": user.state.value,
        "updated_at": user.updated_at,
        "version": user.version,
    }


def user_from_row(row: Any) -> User:
    """The user of a row."""
    return User(
        id=row.id,
        email=row.email,
        full_name=row.full_name,
        phone=row.phone,
        locale=row.locale,
        roles=tuple(map(Role, row.roles)),
        state=State(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
    )
