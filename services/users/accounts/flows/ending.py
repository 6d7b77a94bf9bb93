"""Log-ins that were ended before their time: their access tokens are refused, though nobody can take them back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from libs import clock
from libs.db import Database
from libs.identity.verification import LEEWAY
from services.users.accounts.store import sessions, users

_SLACK = timedelta(seconds=LEEWAY + 60)  # clocks that differ, and what a transaction takes after it noted the time


def list_ended(database: Database, token_lifetime: timedelta) -> frozenset[UUID]:
    """The log-ins of which access tokens may not have expired."""
    with database.reading(fresh=True) as session:
        return sessions.list_ended(session, clock.real_now() - token_lifetime - _SLACK)


def end_all(session: Session, user_id: UUID) -> None:
    """End every log-in of a user of whose rights something changes in this transaction.

    The user is locked before: a new log-in refers to the row, and waits until the change is committed. So there is none
    that this does not see and that was told the rights of before.
    """
    users.lock(session, user_id)
    sessions.save_revocation_of_all(session, user_id, clock.real_now())
