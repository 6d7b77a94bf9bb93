"""Jobs that are over: what happened in a span of time, and deleting them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

OVER: Final = ("succeeded", "failed", "cancelled", "aborted")
ENDED_WELL: Final = ("succeeded", "cancelled", "aborted")  # nobody will ask for them again
_AT_ONCE = 1000  # jobs in one statement, so that none takes long

# Ended before the span, and nothing happened to them since.
_OLD: Final[LiteralString] = """
    SELECT DISTINCT job.id FROM procrastinate_events AS event JOIN procrastinate_jobs AS job ON job.id = event.job_id
    WHERE event.type IN ('succeeded', 'failed', 'cancelled', 'aborted') AND event.at < now() - %(older_than)s
        AND job.status = ANY(%(statuses)s::procrastinate_job_status[])
        AND (%(queue)s::text IS NULL OR job.queue_name = %(queue)s)
        AND NOT EXISTS (
            SELECT 1 FROM procrastinate_events AS later
            WHERE later.job_id = job.id AND later.at >= now() - %(older_than)s
        )
"""
_PAST: Final[LiteralString] = """
    SELECT queue_name AS queue,
        count(*) FILTER (WHERE event.type = 'succeeded') AS completed,
        count(*) FILTER (WHERE event.type = 'failed') AS failed,
        count(*) FILTER (WHERE event.type = 'deferred_for_retry') AS retried,
        count(*) FILTER (WHERE event.type IN ('cancelled', 'aborted')) AS cancelled,
        avg(seconds)::float8 AS mean_seconds,
        (percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds))::float8 AS p95_seconds
    FROM procrastinate_events AS event JOIN procrastinate_jobs AS job ON job.id = event.job_id
    LEFT JOIN LATERAL (
        SELECT extract(epoch FROM event.at - max(start.at)) AS seconds FROM procrastinate_events AS start
        WHERE start.job_id = event.job_id AND start.type = 'started' AND start.id < event.id
    ) AS run ON event.type = 'succeeded'
    WHERE event.type IN ('succeeded', 'failed', 'deferred_for_retry', 'cancelled', 'aborted')
        AND event.at >= now() - %(span)s
    GROUP BY queue_name
"""


@dataclass(frozen=True, slots=True)
class Past:
    """What became of the jobs of a queue in a span of time."""

    queue: str
    completed: int = 0
    failed: int = 0
    retried: int = 0
    cancelled: int = 0
    mean_seconds: float | None = None
    p95_seconds: float | None = None


def past(connection: Connection, span: timedelta) -> dict[str, Past]:
    """What happened in each queue since `span` ago; queues in which nothing did are absent."""
    with connection.cursor(row_factory=class_row(Past)) as cursor:
        return {row.queue: row for row in cursor.execute(_PAST, {"span": span})}


def count_old(
    connection: Connection, older_than: timedelta, queue: str | None = None, statuses: Sequence[str] = ENDED_WELL
) -> int:
    """How many jobs `delete_old` would delete."""
    values = {"older_than": older_than, "queue": queue, "statuses": list(statuses)}
    row = connection.execute(f"SELECT count(*) FROM ({_OLD}) AS old", values).fetchone()  # noqa: S608 - no input in it
    return int(row[0]) if row else 0


def delete_old(
    connection: Connection, older_than: timedelta, queue: str | None = None, statuses: Sequence[str] = ENDED_WELL
) -> int:
    """Delete the jobs that ended in one of `statuses` longer than `older_than` ago. Returns how many there were.

    The connection commits by itself: each thousand is deleted on its own.
    """
    values = {"older_than": older_than, "queue": queue, "statuses": list(statuses), "limit": _AT_ONCE}
    deleted = 0
    while True:
        done = connection.execute(
            f"DELETE FROM procrastinate_jobs WHERE id IN ({_OLD} LIMIT %(limit)s)",  # noqa: S608 - no input in it
            values,
        ).rowcount
        deleted += done
        if done < _AT_ONCE:
            return deleted
