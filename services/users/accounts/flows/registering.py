"""Making accounts: for whoever signs up, and for the first admin, who cannot be made by a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from libs import audit, ids, jobs
from libs.db import Database, violates, when_committed
from libs.errors import DomainError
from libs.rpc import calls
from services.users.accounts import measures
from services.users.accounts.adapters.common_passwords import common_passwords
from services.users.accounts.adapters.hashing import Hasher
from services.users.accounts.kinds import SEND_WELCOME, SendWelcome
from services.users.accounts.rules import user
from services.users.accounts.rules.password import check_password
from services.users.accounts.rules.user import EmailTaken, Role, User, audited
from services.users.accounts.store import users

log = structlog.get_logger("users")

_LONGEST_EMAIL = 254  # characters of what somebody typed that are kept


@dataclass(frozen=True, slots=True)
class Account:
    """A new user with the hash of their password, checked and not saved yet."""

    user: User
    password_hash: str


def prepare(
    hasher: Hasher,
    user_id: UUID,
    email: str,
    password: str,
    full_name: str,
    now: datetime,
    *,
    phone: str = "",
    locale: str = "",
    roles: tuple[Role, ...] = (Role.CUSTOMER,),
) -> Account:
    """Check what a new user says of themselves, and hash the password. It takes long: before any transaction."""
    new = user.register(email, full_name, phone, locale, now, user_id=user_id, roles=roles)
    check_password(password, new.email, common_passwords())
    return Account(new, hasher.hash(password))


def save_customer(session: Session, account: Account) -> None:
    """Save a new customer, with the letter that welcomes them. `EmailTaken` when the address belongs to an account."""
    _save(session, account, "user_created", "")
    jobs.defer(session, SEND_WELCOME, SendWelcome(account.user.id))
    when_committed(session, measures.registrations_by_call.inc)


def create_admin(database: Database, email: str, password: str, full_name: str, now: datetime) -> User:
    """Save a new admin, by the same rules as everybody else. For commands: no call leads here."""
    user_id = ids.new()
    with failure_recorded(database, user_id, email):
        account = prepare(Hasher(), user_id, email, password, full_name, now, roles=(Role.ADMIN,))
        with database.transaction() as session:
            _save(session, account, "admin_created", audit.OPERATOR)
    measures.registrations_by_command.inc()
    return account.user


def _save(session: Session, account: Account, action: str, actor: str) -> None:
    new, user_id = account.user, ids.encode("usr", account.user.id)
    try:
        users.add(session, new, account.password_hash)
    except sa.exc.IntegrityError as error:
        # Asking first would not help: two calls can ask at the same time.
        if violates(error, "idx_users_email"):
            raise EmailTaken from error
        raise
    audit.record(session, action, user_id, actor=actor, after=audited(new), user_id=user_id, email=new.email)
    when_committed(session, lambda: log.info("User created successfully", user_id=user_id, email=new.email))


@contextmanager
def failure_recorded(database: Database, user_id: UUID, email: str) -> Iterator[None]:
    """Leave an entry of a registration that fails, although nothing else of it stays.

    Its transaction is over by then, so that the entry gets one of its own.
    """
    try:
        yield
    except Exception as error:
        resource = ids.encode("usr", user_id)
        reason = error.reason if isinstance(error, DomainError) else "INTERNAL_ERROR"
        actor = "" if calls.answering() else audit.OPERATOR
        audit.record_alone(
            database,
            "user_creation_failed",
            resource,
            actor=actor,
            user_id=resource,
            email=email[:_LONGEST_EMAIL],
            error=reason,
        )
        raise
