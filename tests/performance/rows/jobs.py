"""Jobs that wait as a call to a slow neighbour does: what a second worker brings.

Two queues, because a worker takes what it finds: one database has one worker, the other has two.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import psycopg

from tests.performance import accounting, machine
from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure
from tests.performance.platform import Platform
from tests.performance.readers import settings_of, started
from tests.performance.rounds import take_turns

_MODULE = f"{CONTENDERS}.waiting_jobs"
_DATABASE = "BAZARUTO_SERVICES__USERS__DB_URL"
_PATIENCE = 120.0  # seconds until all jobs of a round are done
_SETUP_SECONDS = 60.0


class Done(NamedTuple):
    """A round."""

    per_second: float
    cpu_microseconds: float


def measure(bench: Bench) -> list[Figure]:
    """Jobs a second, from the first that begins to the last that ends, and the CPU time of each."""
    platform = bench.site(bench.head).platform
    platform.place()
    with ExitStack() as running:
        contenders = {}
        for count in (1, 2):
            url = _queue(bench, platform, f"bench_jobs_{count}")
            settings = settings_of(platform, "users-worker")
            pids = {
                f"worker-{number}": running.enter_context(
                    started(bench, f"jobs-{count}-{number}", [_MODULE, "work", url], settings, machine.CORES)
                )
                for number in range(count)
            }
            _await_workers(url, count)
            pids["postgres"] = platform.processes()["postgres"]
            contenders[str(count)] = partial(_round, bench, url, pids)
        rounds = take_turns(bench.effort, contenders)
    two, one = rounds["2"], rounds["1"]
    return [
        Figure(
            "jobs with two workers", "a second", [done.per_second for done in two], [done.per_second for done in one],
            "with one", Target(1.7, at_least=True),
        ),
        Figure(
            "CPU of a job, two workers", "µs", [done.cpu_microseconds for done in two],
            [done.cpu_microseconds for done in one], "one",
        ),
    ]  # fmt: skip


def _queue(bench: Bench, platform: Platform, name: str) -> str:
    """A migrated database of its own, whose owner is the server's superuser."""
    with platform.connect("users") as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = f"{platform.server_url}/{name}"
    settings = settings_of(platform, "users") | {_DATABASE: url}
    bench.head.run(
        bench.head.python, "-m", platform.module("users"), "migrate", seconds=_SETUP_SECONDS, settings=settings
    )
    return url


def _round(bench: Bench, url: str, pids: Mapping[str, int], _: float) -> Done:
    with psycopg.connect(url, autocommit=True) as connection:
        last = _single(connection, "SELECT coalesce(max(id), 0) FROM procrastinate_jobs")
        before = accounting.cpu_seconds(pids)
        count = bench.effort.jobs
        bench.head.run(bench.head.python, "-m", _MODULE, "defer", url, str(count), seconds=_SETUP_SECONDS)
        deadline = time.monotonic() + _PATIENCE
        undone = f"SELECT count(*) FROM procrastinate_jobs WHERE id > {last} AND status <> 'succeeded'"
        while _single(connection, undone):
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{_single(connection, undone)} of {count} jobs are not done")
            time.sleep(0.1)
        after = accounting.cpu_seconds(pids)
        seconds = _single(
            connection,
            "SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - min(at) FILTER"
            f" (WHERE type = 'started'))::float FROM procrastinate_events WHERE job_id > {last}",
        )
    return Done(count / seconds, sum(after[name] - before[name] for name in pids) / count * 1e6)


def _await_workers(url: str, count: int) -> None:
    deadline = time.monotonic() + _SETUP_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while _single(connection, "SELECT count(*) FROM procrastinate_workers") < count:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{count} workers did not start")
            time.sleep(0.1)


def _single(connection: psycopg.Connection, query: str) -> float:
    row = connection.execute(query.encode()).fetchone()
    return float(row[0]) if row else 0.0
