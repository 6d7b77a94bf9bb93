"""The rules of staying logged in: refresh tokens that work once, and the session that they all descend from.

A token that comes back after it was used shows that two hold it, and one of them stole it: the session ends. Only
digests are kept, so that who reads the database cannot go on in anybody's name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.errors import Unauthenticated
from services.users.accounts.rules.user import User

# Staff can do more harm: they log in every day, and again after a break.
_STAFF_LIFETIME = timedelta(hours=12)
_STAFF_IDLE = timedelta(minutes=30)


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is unknown, expired or revoked."""

    reason = "REFRESH_TOKEN_INVALID"


class RefreshTokenReused(Unauthenticated):
    """The refresh token was used before: every token of that log-in is revoked."""

    reason = "REFRESH_TOKEN_REUSED"


@dataclass(frozen=True, slots=True)
class UserSession:
    """One log-in and everything that descends from it. It ends at `expires_at`, however often it is refreshed."""

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    idle: timedelta
    """How long a token may stay unused."""
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One link of a session's chain."""

    digest: bytes
    session_id: UUID
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


def digest_of(secret: str) -> bytes:
    """What is stored of a secret. It is random, so a fast hash without salt is enough."""
    return hashlib.sha256(secret.encode()).digest()


def start_session(
    user: User, now: datetime, lifetime: timedelta, *, session_id: UUID, secret: str
) -> tuple[UserSession, RefreshToken]:
    """Log a user in for at most `lifetime`: the session and its first token."""
    idle = lifetime
    if user.is_staff:
        lifetime, idle = min(lifetime, _STAFF_LIFETIME), min(lifetime, _STAFF_IDLE)
    session = UserSession(session_id, user.id, now, now + lifetime, idle)
    return session, _issue(session, now, secret)


def rotate(
    session: UserSession, token: RefreshToken, now: datetime, *, secret: str
) -> tuple[RefreshToken, RefreshToken]:
    """Use a token up: the used one, and its successor.

    `RefreshTokenReused` tells the caller to revoke the session. `RefreshTokenInvalid` when there is nothing to
    revoke any more.
    """
    if session.revoked_at is not None or now >= session.expires_at:
        raise RefreshTokenInvalid
    if token.used_at is not None:
        raise RefreshTokenReused
    if now >= token.expires_at:
        raise RefreshTokenInvalid
    return replace(token, used_at=now), _issue(session, now, secret)


def _issue(session: UserSession, now: datetime, secret: str) -> RefreshToken:
    return RefreshToken(digest_of(secret), session.id, now, min(session.expires_at, now + session.idle))
