"""What the jobs of one service have to do with the clock of the domain, for the command that moves it.

A job that waits for a moment of that clock says so in its arguments; when it may run in real time follows from that and
from the offset, and is set anew after each step. Retries keep the real time that they were put back for. Everything
here works on a plain connection that commits by itself, and may be repeated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from libs.jobs.daily import DEFER, values_of
from libs.jobs.deferring import MOMENT
from libs.jobs.kinds import JobKind
from libs.jobs.operating import wake_workers

_SHIFT: Final[LiteralString] = """
    UPDATE procrastinate_jobs SET scheduled_at = (args->>%(moment)s)::timestamptz - %(offset)s
    WHERE status = 'todo' AND attempts = 0 AND scheduled_at > now() AND args ? %(moment)s
        AND scheduled_at <> (args->>%(moment)s)::timestamptz - %(offset)s
"""
_UPCOMING: Final[LiteralString] = """
    SELECT (args->>%(moment)s)::timestamptz AS moment, id, task_name AS job FROM procrastinate_jobs
    WHERE status = 'todo' AND attempts = 0 AND scheduled_at > now() AND args ? %(moment)s
    ORDER BY moment, id LIMIT %(limit)s
"""
# What is due and what is tried again; not what waits behind a job that may not run yet, and shares its lock.
_UNFINISHED: Final[LiteralString] = """
    SELECT id, task_name AS job, status = 'doing' AS is_doing, attempts,
        EXISTS (SELECT FROM paused_queues WHERE queue = queue_name) AS is_paused
    FROM procrastinate_jobs AS job
    WHERE status = 'doing' OR status = 'todo'
        AND (attempts > 0 OR scheduled_at IS NULL OR scheduled_at <= now())
        AND NOT EXISTS (
            SELECT FROM procrastinate_jobs AS other
            WHERE other.lock = job.lock AND other.status = 'todo' AND other.attempts = 0 AND other.scheduled_at > now()
                AND (other.priority > job.priority OR other.priority = job.priority AND other.id < job.id)
        )
    ORDER BY id
"""
_ENDED: Final[LiteralString] = """
    SELECT job.id, job.task_name AS job, event.type::text AS outcome
    FROM procrastinate_events AS event JOIN procrastinate_jobs AS job ON job.id = event.job_id
    WHERE event.id > %s AND event.type IN ('succeeded', 'failed') ORDER BY event.id
"""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A job that waits for a moment of the domain's clock."""

    moment: datetime
    id: int
    job: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that has to end before the clock may go on."""

    id: int
    job: str
    is_doing: bool
    attempts: int
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended: `succeeded` or `failed`."""

    id: int
    job: str
    outcome: str


def shift(connection: Connection, offset: timedelta) -> int:
    """Let what waits for a moment of the domain's clock run when it comes. Returns how many jobs were set anew."""
    shifted = connection.execute(_SHIFT, {"moment": MOMENT, "offset": offset}).rowcount
    if shifted:
        wake_workers(connection)
    return shifted


def defer_daily(connection: Connection, kind: JobKind[Any], occurrence: datetime) -> None:
    """Put a daily kind into the queue for one of its days, unless it was before, or one waits."""
    with suppress(UniqueViolation):
        connection.execute(DEFER, values_of(kind, occurrence))


def upcoming(connection: Connection, limit: int) -> list[Upcoming]:
    """The jobs that wait for a moment of the domain's clock, the earliest first."""
    with connection.cursor(row_factory=class_row(Upcoming)) as cursor:
        return cursor.execute(_UPCOMING, {"moment": MOMENT, "limit": limit}).fetchall()


def unfinished(connection: Connection) -> list[Unfinished]:
    """The jobs that run, are due or are tried again."""
    with connection.cursor(row_factory=class_row(Unfinished)) as cursor:
        return cursor.execute(_UNFINISHED).fetchall()


def last_event(connection: Connection) -> int:
    """The number of the last thing that happened to any job. While it stays, nothing happens."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM procrastinate_events").fetchone()
    return int(row[0]) if row else 0


def ended_since(connection: Connection, event: int) -> list[Ended]:
    """The jobs that ended after an event, in order."""
    with connection.cursor(row_factory=class_row(Ended)) as cursor:
        return cursor.execute(_ENDED, (event,)).fetchall()
