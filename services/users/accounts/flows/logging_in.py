"""Logging in, staying so by one refresh token after the other, and logging out."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from libs import audit, clock, ids
from libs.db import Database
from libs.errors import DomainError, FieldInvalid
from services.users.accounts import measures
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.adapters.throttling import Throttle
from services.users.accounts.rules import session as rules
from services.users.accounts.rules import user
from services.users.accounts.rules.attempts import TooManyAttempts, keys_of
from services.users.accounts.rules.password import CredentialsInvalid
from services.users.accounts.rules.session import RefreshTokenInvalid, RefreshTokenReused, UserSession, digest_of
from services.users.accounts.rules.user import State, User, UserDisabled
from services.users.accounts.store import sessions, users

log = structlog.get_logger("users")

_REASONS: dict[type[DomainError], str] = {
    RefreshTokenInvalid: "refresh_invalid",
    RefreshTokenReused: "refresh_reused",
    UserDisabled: "user_disabled",
}


class Authenticator:
    """Lets in who knows the password of an account, and makes those wait who guess."""

    def __init__(self, database: Database, hasher: Hasher, throttle: Throttle, lifetime: timedelta) -> None:
        """Whoever is let in can stay for `lifetime`, or less."""
        self._database = database
        self._hasher = hasher
        self._throttle = throttle
        self._lifetime = lifetime

    def log_in(self, email: str, password: str, client_address: str, refresh_token: str) -> UserSession:
        """The session of the user with these credentials, which begins with that token.

        `TooManyAttempts`, `CredentialsInvalid`, `UserDisabled`.
        """
        attempt = keys_of(email, client_address)
        try:
            self._throttle.check(attempt)
        except TooManyAttempts:
            _note_failure("throttled", None)
            raise
        account, known_hash = self._find_credentials(email)
        # Without an account the same work is done for nobody, so that the time does not tell who has one.
        if not self._hasher.matches(password, known_hash) or account is None or known_hash is None:
            seconds = self._throttle.failed(attempt)
            self._refused("wrong_password" if account else "unknown_email", account, wait_seconds=seconds)
            raise CredentialsInvalid
        if account.state is State.DISABLED:
            self._refused("user_disabled", account)
            raise UserDisabled
        new_hash = self._hasher.hash(password) if self._hasher.is_outdated(known_hash) else None
        user_session = self._begin_session(account, refresh_token, known_hash, new_hash)
        self._throttle.succeeded(attempt[0])
        return user_session

    def refresh(self, refresh_token: str, successor: str, now: datetime) -> UserSession:
        """The session of a refresh token, which is used up; `successor` takes its place.

        `RefreshTokenInvalid`, `RefreshTokenReused`, `UserDisabled`.
        """
        with self._database.transaction() as session:
            holder, user_session, refusal = _rotate(session, digest_of(refresh_token), successor, now)
        if user_session is None or refusal is not None:
            refusal = refusal or RefreshTokenInvalid()
            _note_failure(_REASONS[type(refusal)], holder)
            raise refusal
        return user_session

    def log_out(self, refresh_token: str, now: datetime) -> None:
        """End the session of a refresh token; nothing happens when there is none."""
        with self._database.transaction() as session:
            sessions.save_revocation(session, digest_of(refresh_token), now)

    def _find_credentials(self, email: str) -> tuple[User, str] | tuple[None, None]:
        """The account of an address with its hash; nothing also for what cannot be an address."""
        try:
            address = user.normalise_email(email)
        except FieldInvalid:
            return None, None
        # On a replica, who has just signed up is not known yet, and would be taken for somebody who guesses.
        with self._database.reading(fresh=True) as session:
            return users.find_credentials(session, address) or (None, None)

    def _begin_session(self, account: User, refresh_token: str, known_hash: str, new_hash: str | None) -> UserSession:
        user_session, token = rules.start_session(
            account, clock.real_now(), self._lifetime, session_id=ids.new(), secret=refresh_token
        )
        user_id, session_id = ids.encode("usr", account.id), ids.encode("ses", user_session.id)
        with self._database.transaction() as session:
            sessions.add(session, user_session, token)
            if new_hash:
                users.save_password_hash(session, account.id, known_hash, new_hash)
            audit.record(session, "login_succeeded", user_id, actor=user_id, session_id=session_id)
        return user_session

    def _refused(self, reason: str, account: User | None, **details: object) -> None:
        """Note a log-in that fails. What was typed is not kept anywhere."""
        _note_failure(reason, account)
        user_id = ids.encode("usr", account.id) if account else ""
        audit.record_alone(self._database, "login_failed", user_id, reason=reason, **details)


def _rotate(
    session: Session, digest: bytes, successor: str, now: datetime
) -> tuple[User | None, UserSession | None, DomainError | None]:
    """Use a refresh token up and put its successor in its place.

    Returns its holder and their session, and why it is refused if it is. Not raised: that would undo the revocation of
    a session whose token was used twice.
    """
    locked = sessions.lock_token(session, digest)
    if locked is None:
        return None, None, None
    holder, user_session, token = locked
    try:
        used, next_token = rules.rotate(user_session, token, now, secret=successor)
        holder.check_active()
    except RefreshTokenReused as error:
        sessions.save_revocation(session, digest, now)
        _record_reuse(session, holder, user_session)
        return holder, user_session, error
    except (RefreshTokenInvalid, UserDisabled) as error:
        return holder, user_session, error
    sessions.save_token(session, used)
    sessions.add_token(session, next_token)
    return holder, user_session, None


def _record_reuse(session: Session, holder: User, user_session: UserSession) -> None:
    session_id = ids.encode("ses", user_session.id)
    audit.record(session, "token_reused", ids.encode("usr", holder.id), session_id=session_id)


def _note_failure(reason: str, account: User | None) -> None:
    """Count and log a refused log-in. What was typed is not logged: people type passwords in the wrong field."""
    measures.failed_logins[reason].inc()
    log_fields = {"user_id": ids.encode("usr", account.id), "email": account.email} if account else {}
    log.warning("authentication failed", reason=reason, **log_fields)
