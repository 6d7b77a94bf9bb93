"""What an operator does with the jobs of one service: look at them, retry, cancel, pause.

Everything here works on a plain connection that commits by itself, and says what it did by numbers of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from libs.identity.secrets import is_secret
from libs.jobs.deferring import MOMENT, TRACE
from libs.jobs.kinds import QUEUES, check_queue
from libs.jobs.measures import DEPTHS

# The names that people use, and the states of the queue that each stands for.
STATUSES: Final[dict[str, tuple[str, ...]]] = {
    "pending": ("todo",),
    "processing": ("doing",),
    "completed": ("succeeded",),
    "failed": ("failed",),
    "cancelled": ("cancelled", "aborted", "aborting"),
}
_NAMES: Final = {state: name for name, states in STATUSES.items() for state in states}

_SELECT: Final[LiteralString] = """
    SELECT id, queue_name AS queue, task_name AS job, status::text, priority, attempts, scheduled_at, lock, args,
        abort_requested, worker_id,
        (SELECT min(at) FROM procrastinate_events WHERE job_id = job.id) AS deferred_at,
        (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type <> 'scheduled') AS changed_at
    FROM procrastinate_jobs AS job
    WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
        AND (%(queue)s::text IS NULL OR queue_name = %(queue)s)
        AND status = ANY(%(states)s::procrastinate_job_status[])
    ORDER BY id DESC LIMIT %(limit)s
"""
_RETRY: Final[LiteralString] = """
    UPDATE procrastinate_jobs
    SET status = 'todo', attempts = 0, abort_requested = false, scheduled_at = now(), worker_id = NULL
    WHERE status = ANY(%(states)s::procrastinate_job_status[])
        AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
        AND (%(queue)s::text IS NULL OR queue_name = %(queue)s)
        AND (queueing_lock IS NULL OR id IN (  -- of a periodic job, one may wait
            SELECT max(other.id) FROM procrastinate_jobs AS other
            WHERE other.queueing_lock IS NOT NULL AND other.status = ANY(%(states)s::procrastinate_job_status[])
                AND (%(ids)s::bigint[] IS NULL OR other.id = ANY(%(ids)s)) AND NOT EXISTS (
                    SELECT 1 FROM procrastinate_jobs AS waiting
                    WHERE waiting.queueing_lock = other.queueing_lock AND waiting.status = 'todo'
                )
            GROUP BY other.queueing_lock
        ))
    RETURNING id
"""
# A job that is being worked on ends its run; it is not tried again after.
_CANCEL: Final[LiteralString] = """
    UPDATE procrastinate_jobs
    SET status = CASE status WHEN 'doing' THEN status ELSE 'cancelled' END, abort_requested = status = 'doing'
    WHERE status = ANY(%(states)s::procrastinate_job_status[])
        AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
        AND (%(queue)s::text IS NULL OR queue_name = %(queue)s)
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as an operator sees it."""

    id: int
    queue: str
    job: str
    status: str
    priority: int
    attempts: int
    scheduled_at: datetime | None
    lock: str | None
    args: dict[str, Any]
    abort_requested: bool
    worker_id: int | None
    deferred_at: datetime | None
    changed_at: datetime | None

    @property
    def name_of_status(self) -> str:
        """The status by the name that people use."""
        return _NAMES[self.status]

    @property
    def arguments(self) -> dict[str, Any]:
        """What the job was deferred with, without values that must not be seen."""
        return {
            key: "***" if is_secret(key) else value for key, value in self.args.items() if key not in (TRACE, MOMENT)
        }

    @property
    def trace_id(self) -> str:
        """The trace that the job belongs to, if it has one."""
        parts = str(self.args.get(TRACE, {}).get("traceparent", "")).split("-")
        return parts[1] if len(parts) == 4 else ""


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in a queue, and whether it is paused."""

    queue: str
    pending: int
    doing: int
    failed: int
    oldest_due_seconds: float
    paused: bool


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker, how many jobs it works on, and for how long it has not been heard of."""

    id: int
    doing: int
    heartbeat_seconds: float


def list_jobs(
    connection: Connection,
    limit: int,
    queue: str | None = None,
    status: str | None = None,
    ids: Sequence[int] | None = None,
) -> list[JobRow]:
    """Jobs, newest first."""
    values = {"ids": ids, "queue": queue, "states": _states(status), "limit": limit}
    with connection.cursor(row_factory=class_row(JobRow)) as cursor:
        return cursor.execute(_SELECT, values).fetchall()


def events(connection: Connection, job_id: int) -> list[tuple[str, datetime]]:
    """What happened to a job, in order."""
    return connection.execute(
        "SELECT type::text, at FROM procrastinate_events WHERE job_id = %s ORDER BY id", (job_id,)
    ).fetchall()


def retry(connection: Connection, queue: str | None = None, ids: Sequence[int] | None = None) -> list[int]:
    """Put jobs that failed or were cancelled back into their queue, as if they were new.

    Without `ids`, those that failed only: what was cancelled was meant to be.
    """
    states = ["failed"] if ids is None else ["failed", "cancelled", "aborted"]
    rows = connection.execute(_RETRY, {"ids": ids, "queue": queue, "states": states}).fetchall()
    return sorted(row[0] for row in rows)


def cancel(connection: Connection, queue: str | None = None, ids: Sequence[int] | None = None) -> list[int]:
    """Take jobs out of their queue. Without `ids`, those that wait; by id also one that failed or that runs."""
    states = ["todo"] if ids is None else ["todo", "failed", "doing"]
    rows = connection.execute(_CANCEL, {"ids": ids, "queue": queue, "states": states}).fetchall()
    return sorted(row[0] for row in rows)


def depths(connection: Connection) -> list[Depth]:
    """Every queue, in the list's order."""
    with connection.cursor(row_factory=class_row(Depth)) as cursor:
        return cursor.execute(DEPTHS, {"queues": list(QUEUES)}).fetchall()


def totals(connection: Connection) -> dict[str, dict[str, int]]:
    """How many jobs each queue holds by status, those that are over among them."""
    rows = connection.execute(
        "SELECT queue_name, status::text, count(*) FROM procrastinate_jobs GROUP BY queue_name, status"
    )
    counts: dict[str, dict[str, int]] = {queue: dict.fromkeys(STATUSES, 0) for queue in QUEUES}
    for queue, state, count in rows:
        counts.setdefault(queue, dict.fromkeys(STATUSES, 0))[_NAMES[state]] += count
    return counts


def workers(connection: Connection) -> list[WorkerRow]:
    """The workers of the service, the one that was heard of last first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("""
            SELECT id, extract(epoch FROM now() - last_heartbeat)::float8 AS heartbeat_seconds,
                (SELECT count(*) FROM procrastinate_jobs WHERE worker_id = worker.id AND status = 'doing') AS doing
            FROM procrastinate_workers AS worker ORDER BY last_heartbeat DESC
        """)
        return [WorkerRow(**row) for row in rows]


def pause(connection: Connection, queue: str) -> bool:
    """Let nobody take jobs from the queue; what is under way ends. False when it was paused already."""
    check_queue(queue)
    statement = "INSERT INTO paused_queues (queue) VALUES (%s) ON CONFLICT DO NOTHING"
    return connection.execute(statement, (queue,)).rowcount == 1


def resume(connection: Connection, queue: str) -> bool:
    """Let workers take jobs from the queue again. False when it was not paused."""
    check_queue(queue)
    resumed = connection.execute("DELETE FROM paused_queues WHERE queue = %s", (queue,)).rowcount == 1
    wake_workers(connection)
    return resumed


def wake_workers(connection: Connection) -> None:
    """Have workers look for jobs at once, as they do for a new one; the payload is the one that they know."""
    connection.execute(
        "SELECT pg_notify('procrastinate_any_queue_v1', %s::text)", (Jsonb({"type": "job_inserted", "job_id": 0}),)
    )


def _states(status: str | None) -> list[str]:
    if status is None:
        return list(_NAMES)
    return list(STATUSES[status])
