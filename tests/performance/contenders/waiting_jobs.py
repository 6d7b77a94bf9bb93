"""Jobs that wait as a call to a slow neighbour does: `python -m …contenders.waiting_jobs work URL`, `… defer URL N`."""

from __future__ import annotations

import sys
import time

from tests.performance.contenders.platform_code import Database, JobKind, JobRunner, Nothing, defer, load, telemetry

SECONDS = 0.02
WAIT = JobKind("bench.wait", Nothing)


def work(url: str) -> None:
    """Work on the jobs of a database, as a worker of the platform does, until SIGTERM."""
    settings = load()
    telemetry.start(settings, "bench-worker")
    runner = JobRunner(url, settings.jobs, "bench-worker")
    runner.handle(WAIT, lambda _: time.sleep(SECONDS))
    runner.run()


def add(url: str, count: str) -> None:
    """Defer so many jobs in one transaction."""
    database = Database(url, load().db, "bench-deferring")
    database.open()
    with database.transaction() as session:
        for _ in range(int(count)):
            defer(session, WAIT, Nothing())
    database.close()


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(sys.argv[2])
    else:
        add(sys.argv[2], sys.argv[3])
