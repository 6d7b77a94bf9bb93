"""Earning many policies in one nightly run, over a database of its own.

`python -m …contenders.earning POLICIES` prints the CPU seconds and the seconds that a month of all of them took, and by
how many MiB the process grew from the first batch to the last one, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session

from libs.config import DbSettings
from libs.db import Database
from libs.jobs import nightly
from libs.jobs.nightly import Batched, Night, Run
from services.payments.billing import jobs
from services.payments.ledger.kinds import RUN_EARNING, RunEarning
from tests.support import portfolio, postgres
from tests.support.sections import section

_BATCH = 500
_WRITTEN_AT_ONCE = 10_000


def fill(url: str, count: int) -> None:
    """Make policies that nothing is earned of."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(0, count, _WRITTEN_AT_ONCE):
            portfolio.write(connection, min(count, _WRITTEN_AT_ONCE))
        connection.execute("ANALYZE")


def earn(database: Database) -> dict[str, float]:
    """A run over all of them, to its end."""
    first = 0

    def together(session: Session, policy_ids: Sequence[UUID], night: Night) -> None:
        nonlocal first
        jobs.earn_together(session, policy_ids, night)
        first = first or _most_memory()

    run = Run(RUN_EARNING, jobs.list_unearned, jobs.count_unearned, Batched(jobs.prepare_earning, together), _BATCH)
    job = RunEarning("2025-01", "now")
    started, cpu_before = time.monotonic(), time.process_time()
    while not _has_ended(database):
        nightly.carry_out(database, run, job, jobs.night_of_period(job))
    return {
        "seconds": time.process_time() - cpu_before,
        "elapsed": time.monotonic() - started,
        "grown": (_most_memory() - first) / 1024,
    }


def _has_ended(database: Database) -> bool:
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT bool_and(ended_at IS NOT NULL) FROM nightly_runs").fetchone()
    return bool(row and row[0])


def _most_memory() -> int:
    """The most KiB that the process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(count: int) -> None:
    """Fill a database and measure."""
    postgres.begin_run()
    try:
        database = Database(postgres.new_database("payments"), section(DbSettings), "bench-earning")
        database.open()
        fill(database.url, count)
        figures = earn(database)
        database.close()
    finally:
        postgres.end_run()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
