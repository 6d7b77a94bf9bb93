"""What happens to quotes as time passes, in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from datetime import datetime

import structlog

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner
from libs.rpc import idempotency
from services.quotes.quoting.kinds import EXPIRE_QUOTES, REAP_KEYS
from services.quotes.quoting.store import quotes

log = structlog.get_logger("quotes")

_AT_ONCE = 500  # quotes in one transaction, so that none is locked for long


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do when."""

    def sweep() -> None:
        expire_quotes(database, clock.now())

    runner.every("*/5 * * * *", EXPIRE_QUOTES, sweep)
    runner.every("27 * * * *", REAP_KEYS, lambda: idempotency.reap(database))


def expire_quotes(database: Database, now: datetime) -> int:
    """Write down which quotes have expired, for those who read the database; returns how many. Readers of the
    service do not depend on it: they go by the clock."""
    expired, more = 0, True
    while more:
        with database.transaction() as session:
            count = quotes.save_expired(session, now, _AT_ONCE)
        expired += count
        more = count == _AT_ONCE
    if expired:
        log.info("quotes expired", count=expired)
    return expired
