"""Log-ins in the database, with the refresh tokens that descend from each."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.users.accounts.rules.session import RefreshToken, UserSession
from services.users.accounts.rules.user import User
from services.users.accounts.store import users
from services.users.accounts.store.rows import SessionRow, TokenRow

_sessions = SessionRow.__table__
_tokens = TokenRow.__table__

_ADD = sa.insert(_sessions)
_ADD_TOKEN = sa.insert(_tokens)
_SAVE_TOKEN = sa.update(_tokens).where(_tokens.c.digest == sa.bindparam("key"))
_LOCKED = (
    sa.select(*_sessions.c, *(column.label(f"token_{column.name}") for column in _tokens.c))
    .join_from(_sessions, _tokens, _tokens.c.session_id == _sessions.c.id)
    .where(_tokens.c.digest == sa.bindparam("digest"))
    .with_for_update()
)
_SESSION_OF_TOKEN = sa.select(_tokens.c.session_id).where(_tokens.c.digest == sa.bindparam("digest"))
_REVOKE = sa.update(_sessions).where(
    _sessions.c.id == _SESSION_OF_TOKEN.scalar_subquery(), _sessions.c.revoked_at.is_(None)
)
_REVOKE_ALL = sa.update(_sessions).where(_sessions.c.user_id == sa.bindparam("user"), _sessions.c.revoked_at.is_(None))
_ENDED = sa.select(_sessions.c.id).where(_sessions.c.revoked_at > sa.bindparam("since"))
_EXPIRED = (
    sa.select(_sessions.c.id)
    .where(_sessions.c.expires_at < sa.bindparam("before"))
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_DELETE = sa.delete(_sessions).where(_sessions.c.id.in_(_EXPIRED)).returning(_sessions.c.id)


def add(session: Session, user_session: UserSession, token: RefreshToken) -> None:
    """Save a new log-in with its first token."""
    session.execute(_ADD, row_from_session(user_session))
    add_token(session, token)


def add_token(session: Session, token: RefreshToken) -> None:
    """Save one more token of a log-in."""
    session.execute(_ADD_TOKEN, row_from_token(token))


def lock_token(session: Session, digest: bytes) -> tuple[User, UserSession, RefreshToken] | None:
    """A token, its session and its user; the first two are kept from other changes until the transaction ends.

    Both are locked, and the user is read after: of a row that is joined and not locked, PostgreSQL shows the state
    from before the wait for the lock.
    """
    row = session.execute(_LOCKED, {"digest": digest}).one_or_none()
    user = users.find(session, row.user_id) if row else None
    return (user, session_from_row(row), token_from_row(row)) if user else None


def save_token(session: Session, token: RefreshToken) -> None:
    """Save that a token was used."""
    session.execute(_SAVE_TOKEN, {"key": token.digest, "used_at": token.used_at})


def save_revocation(session: Session, digest: bytes, now: datetime) -> None:
    """End the session that a token descends from; an unknown token or an ended session change nothing."""
    session.execute(_REVOKE, {"digest": digest, "revoked_at": now})


def save_revocation_of_all(session: Session, user_id: UUID, now: datetime) -> None:
    """End every log-in of a user."""
    session.execute(_REVOKE_ALL, {"user": user_id, "revoked_at": now})


def list_ended(session: Session, since: datetime) -> frozenset[UUID]:
    """The log-ins that were ended after a moment, before their time was over."""
    return frozenset(session.scalars(_ENDED, {"since": since}))


def delete_expired(session: Session, expired_before: datetime, limit: int) -> int:
    """Forget at most `limit` sessions that are over for long, with their tokens. Returns how many there were."""
    return len(session.execute(_DELETE, {"before": expired_before, "most": limit}).all())


def row_from_session(user_session: UserSession) -> dict[str, Any]:
    """The row of a log-in."""
    return {
        "id": user_session.id,
        "user_id": user_session.user_id,
        "created_at": user_session.created_at,
        "expires_at": user_session.expires_at,
        "idle": user_session.idle,
        "revoked_at": user_session.revoked_at,
    }


def session_from_row(row: Any) -> UserSession:
    """The log-in of a row."""
    return UserSession(row.id, row.user_id, row.created_at, row.expires_at, row.idle, row.revoked_at)


def row_from_token(token: RefreshToken) -> dict[str, Any]:
    """The row of a refresh token."""
    return {
        "digest": token.digest,
        "session_id": token.session_id,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
    }


def token_from_row(row: Any) -> RefreshToken:
    """The refresh token of a row that has its session too."""
    return RefreshToken(
        row.token_digest, row.token_session_id, row.token_issued_at, row.token_expires_at, row.token_used_at
    )
