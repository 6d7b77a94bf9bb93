"""A worker whose jobs do what jobs do at their worst. Run as a process of its own: `python -m …worker`."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta

import psycopg

from libs import telemetry
from libs.config import JobSettings, Settings
from libs.jobs import GiveUp, JobKind, JobRunner, loop
from libs.telemetry import pages

NOTE = JobKind("test.note")
URGENT = JobKind("test.urgent", priority=20)
MAIL = JobKind("test.mail", "mailers")
SLEEP = JobKind("test.sleep", "processing")
RAISE = JobKind("test.raise")
GIVE_UP = JobKind("test.give_up")
EXIT = JobKind("test.exit")
DIE = JobKind("test.die")
DIE_AND_RETURN = JobKind("test.die_and_return", endless=True)
NEVER_END = JobKind("test.never_end")
TICK = JobKind("test.tick")

EFFECTS = """
    CREATE TABLE IF NOT EXISTS effects (
        number serial, name text NOT NULL UNIQUE, pid integer NOT NULL, begun timestamptz NOT NULL, ended timestamptz
    )
"""


class Handlers:
    """Each leaves one row, however often it runs: its effect."""

    def __init__(self, url: str) -> None:
        self._url = url

    def note(self, name: str) -> None:
        self._record(name)

    def sleep(self, name: str, seconds: float) -> None:
        self._record(f"{name} begins")
        time.sleep(seconds)
        self._record(name)

    def fail(self, name: str) -> None:
        raise OSError(f"{name} cannot be done")

    def give_up(self, name: str) -> None:
        raise GiveUp(name)

    def exit(self, name: str) -> None:
        sys.exit(name)

    def die(self, name: str) -> None:
        os._exit(9)

    def never_end(self, name: str) -> None:
        while True:
            time.sleep(0.05)

    def tick(self) -> None:
        self._record(f"tick {time.time_ns()}")

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
        (URGENT, handlers.note),
        (MAIL, handlers.note),
        (SLEEP, handlers.sleep),
        (RAISE, handlers.fail),
        (GIVE_UP, handlers.give_up),
        (EXIT, handlers.exit),
        (DIE, handlers.die),
        (DIE_AND_RETURN, handlers.die),
        (NEVER_END, handlers.never_end),
    ):
        made.handle(kind, handler)
    return made


def quick(**changes: float) -> JobSettings:
    """Settings by which dead workers are noticed within two seconds."""
    seconds = {"heartbeat": 0.3, "stalled_after": 1.5, "retry_wait": 0.01, "retry_cap": 0.1, "time_limit": 60}
    plain = {key: int(changes.pop(key)) for key in ("concurrency", "max_attempts") if key in changes}
    durations = {key: timedelta(seconds=value) for key, value in (seconds | changes).items()}
    return JobSettings.model_validate({"concurrency": 2, "max_attempts": 3} | plain | durations)


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    telemetry.start(Settings(environment="test"), "test-worker")
    pages.serve(wanted["metrics"])
    loop._GRACE = wanted["settings"].pop("grace", loop._GRACE)
    made = runner(wanted["url"], quick(**wanted["settings"]))
    if wanted["ticking"]:
        made.every("* * * * * *", TICK, Handlers(wanted["url"]).tick)
    made.run()
