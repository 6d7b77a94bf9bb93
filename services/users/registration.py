"""Making accounts: for whoever signs up, and for the first admin, who cannot be made by a call."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from libs import ids
from libs.db import Database, violates
from services.users import store, user
from services.users.hashing import Hasher
from services.users.password import check_password
from services.users.user import EmailTaken, Role, User

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
    new = user.register(email, full_name, phone, locale, now, user_id=ids.new())
    _save(database, hasher, new, password)
    _FROM_API.inc()
    return new


def create_admin(database: Database, email: str, password: str, full_name: str, now: datetime) -> User:
    """Save a new admin, by the same rules as everybody else. For commands: no call leads here."""
    new = user.register(email, full_name, "", "", now, user_id=ids.new(), roles=(Role.ADMIN,))
    _save(database, Hasher(), new, password)
    _FROM_CLI.inc()
    return new


def _save(database: Database, hasher: Hasher, new: User, password: str) -> None:
    check_password(password, new.email)
    password_hash = hasher.hash(password)
    try:
        with database.transaction() as session:
            store.add_user(session, new, password_hash)
    except sa.exc.IntegrityError as error:
        # Asking first would not help: two calls can ask at the same time.
        if violates(error, "idx_users_email"):
            raise EmailTaken from error
        raise
    log.info("User created successfully", user_id=ids.encode("usr", new.id), email=new.email)
