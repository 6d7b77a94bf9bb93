"""Users and their sessions in the database: tables, converters, and functions that never commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.users.accounts.rules.session import RefreshToken, UserSession
from services.users.accounts.rules.user import Role, State, User


class Row(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[str]: ARRAY(sa.Text)}  # noqa: RUF012


class UserRow(Row):
    """One account, and the hash of its password."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    full_name: Mapped[str]
    phone: Mapped[str]
    locale: Mapped[str]
    roles: Mapped[list[str]]
    state: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class SessionRow(Row):
    """One log-in."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    idle: Mapped[timedelta]
    revoked_at: Mapped[datetime | None]


class TokenRow(Row):
    """One refresh token, kept after its use to notice a second one."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


_users = UserRow.__table__

# The hash of the password is read to log in, and for nothing else.
_USER = sa.select(*(column for column in _users.c if column is not _users.c.password_hash))
_BY_ID = _USER.where(_users.c.id == sa.bindparam("id"))
_BY_EMAIL = sa.select(*_users.c).where(_users.c.email == sa.bindparam("email"))


def find_user(session: Session, user_id: UUID) -> User | None:
    """The user as they are."""
    row = session.execute(_BY_ID, {"id": user_id}).one_or_none()
    return user_from_row(row) if row else None


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


def add_user(session: Session, user: User, password_hash: str) -> None:
    """Save a new user. The index `idx_users_email` refuses an address that is there already."""
    session.add(row_from_user(user, password_hash))
    session.flush()


def change_user(session: Session, user: User) -> bool:
    """Save a changed user; False when somebody else changed them since the version before was read."""
    statement = (
        sa.update(UserRow)
        .where(UserRow.id == user.id, UserRow.version == user.version - 1)
        .values(
            full_name=user.full_name,
            phone=user.phone,
            locale=user.locale,
            updated_at=user.updated_at,
            version=user.version,
        )
    )
    return session.execute(statement.returning(UserRow.id)).one_or_none() is not None


def replace_password_hash(session: Session, user_id: UUID, old: str, new: str) -> None:
    """Save a stronger hash of the same password, unless the password was changed meanwhile."""
    session.execute(
        sa.update(UserRow).where(UserRow.id == user_id, UserRow.password_hash == old).values(password_hash=new)
    )


def add_session(session: Session, started: UserSession, token: RefreshToken) -> None:
    """Save a new log-in with its first token."""
    session.add(row_from_session(started))
    session.flush()
    session.add(row_from_token(token))


def lock_token(session: Session, digest: bytes) -> tuple[User, UserSession, RefreshToken] | None:
    """A token, its session and its user; the first two are kept from other changes until the transaction ends.

    Both are locked, and the user is read after: of a row that is joined and not locked, PostgreSQL shows the state
    from before the wait for the lock.
    """
    query = (
        sa.select(SessionRow, TokenRow)
        .join(TokenRow, TokenRow.session_id == SessionRow.id)
        .where(TokenRow.digest == digest)
        .with_for_update()
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    user = user_from_row(session.execute(_BY_ID, {"id": row.SessionRow.user_id}).one())
    return user, session_from_row(row.SessionRow), token_from_row(row.TokenRow)


def replace_token(session: Session, used: RefreshToken, successor: RefreshToken) -> None:
    """Save that a token was used, and the one that takes its place."""
    session.execute(sa.update(TokenRow).where(TokenRow.digest == used.digest).values(used_at=used.used_at))
    session.add(row_from_token(successor))


def revoke_session(session: Session, digest: bytes, now: datetime) -> None:
    """End the session that a token descends from; an unknown token or an ended session change nothing."""
    of_token = sa.select(TokenRow.session_id).where(TokenRow.digest == digest).scalar_subquery()
    session.execute(
        sa.update(SessionRow)
        .where(SessionRow.id == of_token, SessionRow.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )


def delete_sessions(session: Session, expired_before: datetime, limit: int) -> int:
    """Forget at most `limit` sessions that are over for long, with their tokens. Returns how many there were."""
    old = sa.select(SessionRow.id).where(SessionRow.expires_at < expired_before).limit(limit)
    deleted = sa.delete(SessionRow).where(SessionRow.id.in_(old)).returning(SessionRow.id)
    return len(session.execute(deleted, execution_options={"synchronize_session": False}).all())


def row_from_user(user: User, password_hash: str) -> UserRow:
    """The row of a user."""
    return UserRow(
        id=user.id,
        email=user.email,
        full_name=user.full_name,
        phone=user.phone,
        locale=user.locale,
        roles=[role.value for role in user.roles],
        state=user.state.value,
        password_hash=password_hash,
        created_at=user.created_at,
        updated_at=user.updated_at,
        version=user.version,
    )


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


def row_from_session(started: UserSession) -> SessionRow:
    """The row of a log-in."""
    return SessionRow(
        id=started.id,
        user_id=started.user_id,
        created_at=started.created_at,
        expires_at=started.expires_at,
        idle=started.idle,
        revoked_at=started.revoked_at,
    )


def session_from_row(row: SessionRow) -> UserSession:
    """The log-in of a row."""
    return UserSession(row.id, row.user_id, row.created_at, row.expires_at, row.idle, row.revoked_at)


def row_from_token(token: RefreshToken) -> TokenRow:
    """The row of a refresh token."""
    return TokenRow(
        digest=token.digest,
        session_id=token.session_id,
        issued_at=token.issued_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
    )


def token_from_row(row: TokenRow) -> RefreshToken:
    """The refresh token of a row."""
    return RefreshToken(row.digest, row.session_id, row.issued_at, row.expires_at, row.used_at)
