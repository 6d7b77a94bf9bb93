"""One nightly run over many policies, over a database of its own: the runs of payments, as the service registers them.

`python -m …contenders.nights RUN POLICIES` prints the CPU seconds of the process and of its PostgreSQL, the seconds
that the run took, how many items it did, and by how many MiB the process grew behind the first batch, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar, cast

import psycopg

from libs import clock
from libs.config import DbSettings
from libs.db import Database
from libs.jobs import JobRunner, nightly
from libs.jobs.nightly import Asked, Night, Run
from services.payments import clients
from services.payments.billing import jobs
from services.payments.billing.jobs import dunning
from services.payments.billing.kinds import RECONCILE, RUN_DUNNING
from services.payments.billing.rules.reconciling import Written
from services.payments.billing.store import product_terms
from services.payments.ledger.kinds import RUN_EARNING, RunEarning
from services.payments.ledger.rules.proof import Item
from tests.performance import accounting
from tests.support import portfolio, postgres
from tests.support.sections import section

_WRITTEN_AT_ONCE = 10_000
_PAST_DUE_OF = 10  # policies: of one of them a premium is past due
_LISTED = TypeVar("_LISTED")


class Registered:
    """A runner that keeps the runs that it is told of, and carries out none."""

    def __init__(self, database: Database, said: Sequence[Written]) -> None:
        self.runs: dict[str, Run[Any]] = {}
        runner = cast(JobRunner, self)
        jobs.register(runner, database)
        # Neither run asks a neighbour; what policies says is at hand, as if it had just answered.
        handlers = dunning.Handlers(
            database, cast(clients.Policies, None), cast(clients.Quotes, None), lambda session, account_id: False
        )
        dunning.register(runner, handlers, database)
        places = {written.policy_id: number for number, written in enumerate(said, 1)}
        jobs.register_reconciling(runner, database, lambda after, limit: said[places.get(after, 0) :][:limit])

    def nightly(self, _: Database, run: Run[Any]) -> None:
        self.runs[run.kind.name] = run

    def sweep(self, _: Database, run: Run[Any], __: Any) -> None:
        self.runs[run.kind.name] = run

    def ignore(self, *_: Any, **__: Any) -> None:
        """What is no nightly run."""

    daily = handle = every = ignore


def fill(database: Database, starts_on: date) -> Sequence[Written]:
    """Make policies that begin on a day, some of which are past due; gives what policies says of them."""
    count, issued_at = int(sys.argv[2]), datetime(2024, 12, 1, tzinfo=UTC)
    with database.transaction() as session:
        product_terms.add(session, portfolio.TERMS)
    said: list[Written] = []
    with psycopg.connect(database.url, autocommit=True) as connection:
        for _ in range(0, count, _WRITTEN_AT_ONCE):
            written = portfolio.write(connection, min(count, _WRITTEN_AT_ONCE), starts_on)
            for number, policy_id in enumerate(written, 1):
                amounts = dict.fromkeys(Item, 0) | {Item.PREMIUM: 120_000 + number}
                said.append(Written(policy_id, 1, issued_at, amounts))
        portfolio.leave_unpaid(connection, _PAST_DUE_OF)
        connection.execute("VACUUM ANALYZE")
    return sorted(said, key=lambda written: written.policy_id)


def carry_out(database: Database, run: Run[Any], arguments: Any, night: Night) -> dict[str, float]:
    """A run to its end."""
    begun: list[int] = []

    def noted(listing: Callable[..., _LISTED]) -> Callable[..., _LISTED]:
        def listed(*asked: Any) -> _LISTED:
            begun.append(_most_memory())
            return listing(*asked)

        return listed

    if isinstance(run.work, Asked):
        run = replace(run, work=replace(run.work, ask=noted(run.work.ask)))
    elif run.list_due:
        run = replace(run, list_due=noted(run.list_due))
    measured = {"own": os.getpid(), "postgres": _postmaster()}
    started, cpu = time.monotonic(), accounting.cpu_seconds(measured)
    while (done := _done(database)) is None:
        nightly.carry_out(database, run, arguments, night)
    spent = accounting.cpu_seconds(measured)
    return {
        "seconds": sum(spent.values()) - sum(cpu.values()),
        "elapsed": time.monotonic() - started,
        "done": done,
        "grown": (_most_memory() - begun[1]) / 1024,
    }


def _done(database: Database) -> int | None:
    """The items that the run did, when it has ended. None of them may be parked."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT ended_at IS NOT NULL, done, parked FROM nightly_runs").fetchone()
    if row is None or not row[0]:
        return None
    if row[2]:
        sys.exit(f"{row[2]} items could not be done")
    return int(row[1])


def _postmaster() -> int:
    return int((postgres.server().folder / "postmaster.pid").read_text().splitlines()[0])


def _most_memory() -> int:
    """The most KiB that the process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _night(name: str) -> tuple[Any, Night]:
    """The arguments of a run, and what it is for."""
    if name == RUN_EARNING.name:
        job = RunEarning("2025-01", "now")
        return job, jobs.night_of_period(job)
    return nightly.Occurrence(0), nightly.night_at(clock.now() + timedelta(minutes=1))


# Dunned is who is insured today.
STARTS_ON = {"dunning": clock.now().date() - timedelta(days=100)}
RUNS = {"earning": RUN_EARNING.name, "dunning": RUN_DUNNING.name, "reconciliation": RECONCILE.name}


def main(name: str) -> None:
    """Fill a database and measure."""
    postgres.begin_run()
    try:
        database = Database(postgres.new_database("payments"), section(DbSettings), "bench-nights")
        database.open()
        runs = Registered(database, fill(database, STARTS_ON.get(name, portfolio.STARTS_ON))).runs
        figures = carry_out(database, runs[RUNS[name]], *_night(RUNS[name]))
        database.close()
    finally:
        postgres.end_run()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
