"""A worker whose jobs do what jobs do at their worst. Run as a process of its own: `python -m …worker`."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from libs import clock, telemetry
from libs.config import JobSettings, Settings
from libs.jobs import GiveUp, JobKind, JobRunner, Nothing, loop
from libs.telemetry import pages
from tests.support.sections import section


@dataclass(frozen=True, slots=True)
class Named:
    """The arguments of most kinds."""

    name: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """The arguments of `SLEEP`."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """The arguments of `HOLD`: it ends when the file `until` is there."""

    name: str
    until: str


NOTE = JobKind("test.note", Named)
NOTE_WHEN = JobKind("test.note_when", Named)
URGENT = JobKind("test.urgent", Named, priority=20)
MAIL = JobKind("test.mail", Named, "mailers")
SLEEP = JobKind("test.sleep", Sleep, "processing")
HOLD = JobKind("test.hold", Hold, "processing")
RAISE = JobKind("test.raise", Named)
GIVE_UP = JobKind("test.give_up", Named)
EXIT = JobKind("test.exit", Named)
DIE = JobKind("test.die", Named)
DIE_AND_RETURN = JobKind("test.die_and_return", Named, endless=True)
NEVER_END = JobKind("test.never_end", Named)
TICK = JobKind("test.tick", Nothing)
SWEEP = JobKind("test.sweep", Nothing, daily="03:23")

EFFECTS = """
    CREATE TABLE IF NOT EXISTS effects (
        number serial, name text NOT NULL UNIQUE, pid integer NOT NULL, begun timestamptz NOT NULL, ended timestamptz
    )
"""


class Handlers:
    """Each leaves one row, however often it runs: its effect."""

    def __init__(self, url: str) -> None:
        self._url = url

    def note(self, job: Named) -> None:
        self._record(job.name)

    def sleep(self, job: Sleep) -> None:
        self._record(f"{job.name} begins")
        time.sleep(job.seconds)
        self._record(job.name)

    def hold(self, job: Hold) -> None:
        self._record(f"{job.name} begins")
        while not Path(job.until).exists():
            time.sleep(0.02)
        self._record(job.name)

    def fail(self, job: Named) -> None:
        raise OSError(f"{job.name} cannot be done")

    def give_up(self, job: Named) -> None:
        raise GiveUp(job.name)

    def exit(self, job: Named) -> None:
        sys.exit(job.name)

    def die(self, job: Named) -> None:
        os._exit(9)

    def never_end(self, job: Named) -> None:
        while True:
            time.sleep(0.05)

    def tick(self) -> None:
        self._record(f"tick {time.time_ns()}")

    def sweep(self) -> None:
        self._record(f"sweep of {clock.now():%Y-%m-%d}")

    def note_when(self, job: Named) -> None:
        self._record(f"{job.name} at {clock.now():%Y-%m-%d %H:%M}")

    def _record(self, name: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO effects (name, pid, begun) VALUES (%s, %s, clock_timestamp())"
                " ON CONFLICT (name) DO UPDATE SET ended = clock_timestamp()",
                (name, os.getpid()),
            )


def runner(url: str, settings: JobSettings) -> JobRunner:
    """A runner with all of these jobs."""
    handlers = Handlers(url)
    made = JobRunner(url, settings, "test-worker", housekeeping=False)
    for kind, handler in (
        (NOTE, handlers.note),
        (NOTE_WHEN, handlers.note_when),
        (URGENT, handlers.note),
        (MAIL, handlers.note),
        (RAISE, handlers.fail),
        (GIVE_UP, handlers.give_up),
        (EXIT, handlers.exit),
        (DIE, handlers.die),
        (DIE_AND_RETURN, handlers.die),
        (NEVER_END, handlers.never_end),
    ):
        made.handle(kind, handler)
    made.handle(SLEEP, handlers.sleep)
    made.handle(HOLD, handlers.hold)
    return made


def quick(**changes: float) -> JobSettings:
    """Settings by which dead workers are noticed within two seconds."""
    seconds = {"heartbeat": 0.3, "stalled_after": 1.5, "retry_wait": 0.01, "retry_cap": 0.1, "time_limit": 60}
    plain = {key: int(changes.pop(key)) for key in ("concurrency", "max_attempts") if key in changes}
    durations = {key: timedelta(seconds=value) for key, value in (seconds | changes).items()}
    few = {"concurrency": 2, "max_attempts": 3}
    return section(JobSettings, **few | plain | durations)


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    telemetry.start(Settings(environment="test"), "test-worker")
    pages.serve(arguments["metrics"])
    loop._GRACE = arguments["settings"].pop("grace", loop._GRACE)
    made = runner(arguments["url"], quick(**arguments["settings"]))
    if arguments["clock"]:
        clock.follow(Path(arguments["clock"]))
        made.daily(SWEEP, Handlers(arguments["url"]).sweep)
    if arguments["ticking"]:
        made.every("* * * * * *", TICK, Handlers(arguments["url"]).tick)
    made.run()
