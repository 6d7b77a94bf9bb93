"""How much waits in each queue, as numbers and as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.orm import Session

from libs.jobs.kinds import QUEUES

# One row for each queue, in the list's order. The oldest due job is the first that has no time of its own, by its
# number, or the one whose time came first. The index `idx_jobs_open` finds both at once; so that it is taken, the
# former are ordered by the time that they do not have.
DEPTHS: Final = """
    SELECT queue,
        coalesce(pending, 0) AS pending,
        coalesce(doing, 0) AS doing,
        coalesce(failed, 0) AS failed,
        greatest(coalesce(extract(epoch FROM now() - least(timed.at, plain.at)), 0), 0)::float8 AS oldest_due_seconds,
        paused_at IS NOT NULL AS paused
    FROM unnest(%(queues)s::text[]) WITH ORDINALITY AS known (queue, place)
    LEFT JOIN (
        SELECT queue_name,
            count(*) FILTER (WHERE status = 'todo') AS pending,
            count(*) FILTER (WHERE status = 'doing') AS doing,
            count(*) FILTER (WHERE status = 'failed') AS failed
        FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed') GROUP BY queue_name
    ) AS open ON queue_name = queue
    LEFT JOIN LATERAL (
        SELECT min(scheduled_at) AS at FROM procrastinate_jobs
        WHERE queue_name = queue AND status = 'todo' AND scheduled_at <= now()
    ) AS timed ON true
    LEFT JOIN LATERAL (
        SELECT (SELECT min(at) FROM procrastinate_events WHERE job_id = first.id) AS at
        FROM procrastinate_jobs AS first
        WHERE queue_name = queue AND status = 'todo' AND scheduled_at IS NULL ORDER BY scheduled_at, id LIMIT 1
    ) AS plain ON true
    LEFT JOIN paused_queues USING (queue)
    ORDER BY place
"""

PARKED: Final = """
    SELECT name, (SELECT count(*) FROM parked_items AS item WHERE item.name = run.name) AS parked
    FROM unnest(%(names)s::text[]) AS run (name)
"""
"""How many items of each kind of nightly run are parked."""


def _gauge(name: str, documentation: str) -> Gauge:
    # All processes of a service look at the same database: the last look counts, whoever took it.
    return Gauge(f"bazaruto_{name}", documentation, ["queue"], multiprocess_mode="mostrecent")


_gauges = {
    "pending": _gauge("jobs_pending", "Jobs that wait to be worked on"),
    "doing": _gauge("jobs_doing", "Jobs that are being worked on"),
    "failed": _gauge("jobs_failed", "Jobs that failed for good, until somebody retries or removes them"),
    "oldest_due_seconds": _gauge("jobs_oldest_due_seconds", "How long the oldest job waits that could have begun"),
    "paused": _gauge("queue_paused", "1 while nobody takes jobs from the queue"),
}
_parked = Gauge(
    "bazaruto_parked_items",
    "Items that nightly runs could not do, and try again",
    ["run"],
    multiprocess_mode="mostrecent",
)
retries = Counter("bazaruto_job_retries_total", "Jobs that went back to their queue after a failure", ["queue"])
start_delay = Histogram(
    "bazaruto_job_start_delay_seconds",
    "Time from the moment a job was due to its start",
    ["queue"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
)
for _queue in QUEUES:  # an increase from nothing to one is seen by nobody; so they all begin at nought
    retries.labels(_queue)
    start_delay.labels(_queue)


def database_gauge() -> Gauge:
    """Whether a worker has its database. A server has no such gauge: its nought would mean nothing."""
    return Gauge("bazaruto_worker_database_up", "1 while the worker has its database, 0 while it waits for it")


def count(session: Session) -> tuple[int, int]:
    """How many jobs wait, and how many failed for good."""
    row = session.execute(
        sa.text(
            "SELECT count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'failed')"
            " FROM procrastinate_jobs WHERE status IN ('todo', 'failed')"
        )
    ).one()
    return row[0], row[1]


def observe(session: Session) -> tuple[int, int]:
    """Bring the gauges of all queues up to date; returns what `count` does."""
    rows = session.connection().exec_driver_sql(DEPTHS, {"queues": list(QUEUES)})
    depths = [dict(row) for row in rows.mappings()]
    show(depths)
    return sum(depth["pending"] for depth in depths), sum(depth["failed"] for depth in depths)


def show(depths: Iterable[Mapping[str, Any]]) -> None:
    """Set the gauges to the rows of `DEPTHS`."""
    for depth in depths:
        for key, gauge in _gauges.items():
            gauge.labels(depth["queue"]).set(float(depth[key]))


def show_parked(rows: Iterable[Mapping[str, Any]]) -> None:
    """Set the gauge to the rows of `PARKED`."""
    for row in rows:
        _parked.labels(row["name"]).set(float(row["parked"]))


def forget() -> None:
    """Show no depths until they are known again: what was true before does not stand for what is."""
    for gauge in (*_gauges.values(), _parked):
        gauge.clear()
