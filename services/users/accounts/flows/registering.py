"""Making accounts: for whoever signs up, and for the first admin, who cannot be made by a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from libs import audit, ids, jobs
from libs.db import Database, violates
from libs.errors import DomainError
from libs.rpc import calls
from services.users.accounts.adapters.common_passwords import common_passwords
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.kinds import SEND_WELCOME, SendWelcome
from services.users.accounts.rules import user
from services.users.accounts.rules.password import check_password
from services.users.accounts.rules.user import EmailTaken, Role, User
from services.users.accounts.store import users

log = structlog.get_logger("users")

_registrations = Counter("bazaruto_user_registrations_total", "Total number of user registrations", ["source"])
_FROM_API = _registrations.labels("api")
_FROM_CLI = _registrations.labels("cli")


def register_customer(
    database: Database,
    hasher: Hasher,
    email: str,
    password: str,
    full_name: str,
    now: datetime,
    *,
    phone: str = "",
    locale: str = "",
) -> User:
    """Save a new customer. `EmailTaken` when the address belongs to an account."""
    user_id = ids.new()
    with _failure_recorded(database, user_id, email):
        new = user.register(email, full_name, phone, locale, now, user_id=user_id)
        _save(database, hasher, new, password, "user_created")
    _FROM_API.inc()
    return new


def create_admin(database: Database, email: str, password: str, full_name: str, now: datetime) -> User:
    """Save a new admin, by the same rules as everybody else. For commands: no call leads here."""
    user_id = ids.new()
    with _failure_recorded(database, user_id, email):
        new = user.register(email, full_name, "", "", now, user_id=user_id, roles=(Role.ADMIN,))
        _save(database, Hasher(), new, password, "admin_created")
    _FROM_CLI.inc()
    return new


def _save(database: Database, hasher: Hasher, new: User, password: str, action: str) -> None:
    check_password(password, new.email, common_passwords())
    password_hash = hasher.hash(password)
    try:
        with database.transaction() as session:
            users.add_user(session, new, password_hash)
            user_id = ids.encode("usr", new.id)
            actor = "" if calls.answering() else audit.OPERATOR
            audit.record(session, action, user_id, actor=actor, after=audited(new), user_id=user_id, email=new.email)
            if action == "user_created":
                jobs.defer(session, SEND_WELCOME, SendWelcome(new.id))
    except sa.exc.IntegrityError as error:
        # Asking first would not help: two calls can ask at the same time.
        if violates(error, "idx_users_email"):
            raise EmailTaken from error
        raise
    log.info("User created successfully", user_id=ids.encode("usr", new.id), email=new.email)


@contextmanager
def _failure_recorded(database: Database, user_id: UUID, email: str) -> Iterator[None]:
    """Leave an entry of a registration that fails, although nothing else of it stays.

    Its transaction is over by then, so that the entry gets one of its own.
    """
    try:
        yield
    except Exception as error:
        told = {"user_id": ids.encode("usr", user_id), "email": email[:254]}
        reason = error.reason if isinstance(error, DomainError) else "INTERNAL_ERROR"
        actor = "" if calls.answering() else audit.OPERATOR
        audit.record_alone(database, "user_creation_failed", told["user_id"], actor=actor, **told, error=reason)
        raise


def audited(user: User) -> dict[str, object]:
    """What the audit log keeps of an account."""
    return {
        "email": user.email,
        "full_name": user.full_name,
        "phone": user.phone,
        "locale": user.locale,
        "roles": user.roles,
        "state": user.state,
    }
