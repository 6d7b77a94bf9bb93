"""What the ledger does in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from libs.db import Database
from libs.jobs import JobRunner
from services.payments.ledger.kinds import CLOSE_DAYS
from services.payments.ledger.store import days

_BATCH = 1000


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do when."""
    runner.every("*/10 * * * *", CLOSE_DAYS, lambda: close_days(database))


def close_days(database: Database) -> None:
    """Add the journals of the last minutes to the sums by day, in steps, each a transaction of its own."""
    count = _BATCH
    while count == _BATCH:
        with database.transaction() as session:
            count = days.add_unsummed(session, _BATCH)
