"""What happens to quotes as time passes, in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from datetime import datetime

import structlog

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner
from libs.rpc import idempotency
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.kinds import EXPIRE_QUOTES, KEEP_LINES, REAP_KEYS
from services.quotes.quoting.store import quotes

log = structlog.get_logger("quotes")

_AT_ONCE = 500  # quotes in one transaction, so that none is locked for long


def register(runner: JobRunner, database: Database, catalogue: Catalogue, calculators: Calculators) -> None:
    """Tell the runner what to do when."""

    def sweep() -> None:
        expire_quotes(database, clock.now())

    def complete() -> None:
        keep_lines(database, catalogue, calculators)

    runner.every("*/5 * * * *", EXPIRE_QUOTES, sweep)
    runner.every("*/10 * * * *", KEEP_LINES, complete)
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


def keep_lines(database: Database, catalogue: Catalogue, calculators: Calculators) -> int:
    """Write down the lines of prices that were stored before prices had lines; returns of how many quotes.

    A version of a product that cannot be read now leaves its quotes for the next time.
    """
    catalogue.look()
    completed, after, more = 0, None, True
    while more:
        with database.transaction() as session:
            unlined = quotes.lock_without_lines(session, after, _AT_ONCE)
            for quote in (calculators.with_lines(catalogue, quote) for quote in unlined):
                if quote.price is not None and quote.price.lines:
                    quotes.save_lines(session, quote)
                    completed += 1
        more = len(unlined) == _AT_ONCE
        after = unlined[-1].id if unlined else None
    if completed:
        log.info("lines of prices kept", count=completed)
    return completed
