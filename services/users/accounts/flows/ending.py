"""Log-ins that were ended before their time: their access tokens are refused, though nobody can take them back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from libs import clock
from libs.db import Database
from libs.identity.verification import LEEWAY
from services.users.accounts.store import sessions

_SLACK = timedelta(seconds=LEEWAY + 60)  # clocks that differ, and what a transaction takes after it noted the time


def list_ended(database: Database, token_lifetime: timedelta) -> frozenset[UUID]:
    """The log-ins of which access tokens may not have expired."""
    with database.reading(fresh=True) as session:
        return sessions.list_ended(session, clock.real_now() - token_lifetime - _SLACK)
