"""The database of one service: does it answer, who is in whose way, is its schema right, and how are its jobs?

All of it goes over one connection, which only reads and waits for nothing longer than a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from bazarutod import reports
from bazarutod.doctor.finding import Finding, Patient
from libs import clock
from libs.config import Settings
from libs.jobs import operating, runs

_CROWDED = 0.8  # share of the server's connections that are taken
_SKEW, _SKEW_FAILS = 1.0, 30.0  # seconds; the second is the leeway that tokens have
_LATE = 60.0  # seconds; an objective of the platform
_SLOW: Final = """
    SELECT count(*) AS statements, max(extract(epoch FROM now() - query_start))::float8 AS seconds,
        (array_agg(pid ORDER BY query_start))[1] AS pid
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND (state = 'active' AND wait_event IS DISTINCT FROM 'ClientRead' OR state LIKE 'idle in transaction%%')
        AND now() - query_start > make_interval(secs => %s)
"""
_FAILED: Final = "SELECT DISTINCT task_name AS kind FROM procrastinate_jobs WHERE status = 'failed' ORDER BY 1"
_HANGING: Final = """
    SELECT task_name AS kind, count(*) AS count FROM procrastinate_jobs
    WHERE status = 'todo' AND attempts >= %(tries)s GROUP BY 1 ORDER BY 1
"""
_REFUND_SETTLES_WITHIN = timedelta(hours=6)  # the provider has been asked five times by then
_STUCK_REFUNDS: Final = """
    SELECT count(DISTINCT refund_id) AS count, min(sent_at) AS since FROM refund_parts
    WHERE status = 'sent' AND sent_at < %(since)s
"""
Connection = psycopg.Connection[Any]
Probe = Callable[[str, Connection, Settings], Finding]


def look(service: str, patient: Patient) -> Iterator[Finding]:
    """What can be said of the database of one service."""
    url = patient.settings.services[service].db_url
    if not url:
        said = "is configured nowhere, and no platform runs in the folder"
        advice = f"Start the platform with bazarutod up, or set services.{service}.db_url"
        yield Finding("database", service, "failure", said, advice)
        return
    try:
        with psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=2,
            row_factory=dict_row,
            application_name="bazarutod doctor",
            options="-c statement_timeout=1000 -c lock_timeout=500 -c default_transaction_read_only=on -c timezone=UTC",
        ) as connection:
            yield Finding("database", service, "ok", "answers")
            for name, probe in PROBES:
                yield _asked(name, service, probe, connection, patient.settings)
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
        said = f"does not answer: {reason}"
        advice = "Is the server up? journalctl -u postgresql, or kubectl logs postgres-0; then its disk and its network"
        yield Finding("database", service, "failure", said, advice)


def _asked(name: str, service: str, probe: Probe, connection: Connection, settings: Settings) -> Finding:
    try:
        return probe(service, connection, settings)
    except psycopg.errors.UndefinedTable:
        return Finding(name, service, "failure", "lacks the tables of this program", "Run bazarutod migrate")
    except psycopg.Error as error:
        if connection.closed:
            raise  # the server is gone, and the other questions would fail too
        return Finding(name, service, "warning", f"could not be asked: {str(error).splitlines()[0]}")


def _connections(service: str, connection: Connection, settings: Settings) -> Finding:
    server = connection.execute(reports.SERVER).fetchone() or {}
    used, most = server["connections"], server["max_connections"]
    if used > most * _CROWDED:
        said = f"its server has {used} of {most} connections in use"
        advice = "See whose they are: bazarutod db status; then lower db.max_connections or put PgBouncer in between"
        return Finding("connections", service, "warning", said, advice)
    return Finding("connections", service, "ok", "its server has connections to spare")


def _locks(service: str, connection: Connection, settings: Settings) -> Finding:
    waiting = connection.execute(reports.LOCKS).fetchall()
    if not waiting:
        return Finding("locks", service, "ok", "nobody waits for a lock")
    first = waiting[0]
    said = (
        f"{len(waiting)} sessions wait for locks, the longest for {first['seconds']:.1f} s:"
        f" {first['blocker'] or 'session'} (pid {first['blocked_by']}) holds {first['relation'] or first['kind']}"
    )
    advice = f"bazarutod db status shows both statements; SELECT pg_terminate_backend({first['blocked_by']}) ends it"
    return Finding("locks", service, "warning", said, advice)


def _slow(service: str, connection: Connection, settings: Settings) -> Finding:
    threshold = settings.db.slow_query.total_seconds()
    row = connection.execute(_SLOW, (threshold,)).fetchone() or {}
    if not row["statements"]:
        return Finding("statements", service, "ok", f"none runs for longer than {threshold:g} s")
    said = f"{row['statements']} run for longer than {threshold:g} s; pid {row['pid']} for {row['seconds']:.1f} s"
    return Finding("statements", service, "warning", said, "See which: bazarutod db status, and bazarutod db slow")


def _migrations(service: str, connection: Connection, settings: Settings) -> Finding:
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    current, heads = {row["version_num"] for row in rows}, _heads(service)
    if current == heads:
        return Finding("migrations", service, "ok", "is at the revision of this program")
    said = f"is at revision {', '.join(sorted(current)) or 'none'}, and this program needs {', '.join(sorted(heads))}"
    return Finding("migrations", service, "failure", said, f"Run bazarutod migrate {service}")


def _heads(service: str) -> set[str]:
    from alembic.script import ScriptDirectory  # a tenth of a second that no other command should pay

    return set(ScriptDirectory(str(files(f"services.{service}") / "migrations")).get_heads())


def _clock(service: str, connection: Connection, settings: Settings) -> Finding:
    started_at = clock.real_seconds()
    row = connection.execute("SELECT clock_timestamp() AS at").fetchone() or {}
    here = datetime.fromtimestamp((started_at + clock.real_seconds()) / 2, UTC)
    skew = abs((row["at"] - here).total_seconds())
    if skew <= _SKEW:
        return Finding("clock", service, "ok", "agrees with this machine")
    said = f"its server's clock differs from this machine's by {skew:.1f} s; tokens and deadlines go wrong"
    advice = "See timedatectl on both, and let a time service keep them"
    return Finding("clock", service, "failure" if skew > _SKEW_FAILS else "warning", said, advice)


def _jobs(service: str, connection: Connection, settings: Settings) -> Finding:
    depths = operating.depths(connection)
    failed = sum(depth.failed for depth in depths)
    late = max(depths, key=lambda depth: depth.oldest_due_seconds)
    if failed:
        kinds = ", ".join(row["kind"] for row in connection.execute(_FAILED))
        said = f"{failed} jobs failed for good and wait for somebody to decide: {kinds}"
        advice = f"bazarutod jobs list --status failed --service {service}; then jobs retry or jobs cancel"
        return Finding("jobs", service, "warning", said, advice)
    if late.oldest_due_seconds > _LATE:
        said = f"the oldest due job of the queue {late.queue} waits for {late.oldest_due_seconds:.0f} s"
        advice = "bazarutod queues list: is the queue paused, is a worker alive, are there enough of them?"
        return Finding("jobs", service, "warning", said, advice)
    return Finding("jobs", service, "ok", "none failed, none waits too long")


def _messages(service: str, connection: Connection, settings: Settings) -> Finding:
    """What has to come about, however long a neighbour is away, is tried without end: some of it is a message."""
    rows = connection.execute(_HANGING, {"tries": settings.jobs.max_attempts}).fetchall()
    if rows:
        said = "tried again and again: " + ", ".join(f"{row['count']} {row['kind']}" for row in rows)
        advice = f"bazarutod jobs list --status pending --service {service}; is the neighbour up? The log says why"
        return Finding("messages", service, "warning", said, advice)
    return Finding("messages", service, "ok", "none hangs")


def _refunds(service: str, connection: Connection, settings: Settings) -> Finding:
    row: dict[str, Any] = {}
    if service == "payments":
        row = connection.execute(_STUCK_REFUNDS, {"since": clock.now() - _REFUND_SETTLES_WITHIN}).fetchone() or {}
    if row.get("count"):
        said = f"{row['count']} refunds were sent and their end is not known, the oldest since {row['since']:%Y-%m-%d}"
        advice = "The provider is asked once a day: see its status, and the lines 'refund still open' of the log"
        return Finding("refunds", service, "warning", said, advice)
    return Finding("refunds", service, "ok", "none is under way for long")


def _parked(service: str, connection: Connection, settings: Settings) -> Finding:
    parked = runs.count_parked(connection)
    if parked:
        said = f"nightly runs could not do {sum(parked.values())} items: {', '.join(parked)}; each night tries again"
        advice = f"bazarutod jobs parked --service {service} says why; then jobs retry --parked {next(iter(parked))}"
        return Finding("nightly runs", service, "warning", said, advice)
    return Finding("nightly runs", service, "ok", "nothing is parked")


def _reconciled(service: str, connection: Connection, settings: Settings) -> Finding:
    counts: dict[str, int] = {}
    if service == "payments":
        rows = connection.execute("SELECT kind, count(*) AS count FROM reconciliation_differences GROUP BY kind")
        counts = {row["kind"]: row["count"] for row in rows}
    if counts:
        said = "policies, billing and the ledger do not agree: " + ", ".join(
            f"{count} {kind}" for kind, count in sorted(counts.items())
        )
        advice = (
            "See docs/runbooks/ReconciliationDifferences.md; each row of reconciliation_differences names one thing"
        )
        return Finding("reconciliation", service, "warning", said, advice)
    return Finding("reconciliation", service, "ok", "agrees with its neighbours as of the last night")


def _queues(service: str, connection: Connection, settings: Settings) -> Finding:
    paused = [depth.queue for depth in operating.depths(connection) if depth.paused]
    if paused:
        said = f"paused: {', '.join(paused)}; jobs wait there"
        advice = f"When the reason is gone: bazarutod queues resume {paused[0]}"
        return Finding("queues", service, "warning", said, advice)
    return Finding("queues", service, "ok", "none is paused")


def _workers(service: str, connection: Connection, settings: Settings) -> Finding:
    workers = operating.workers(connection)
    silent_after = settings.jobs.stalled_after.total_seconds()
    alive = [worker for worker in workers if worker.heartbeat_seconds < silent_after]
    advice = f"systemctl restart bazaruto-worker@{service}"
    if not alive:
        last = f"the last was heard of {workers[0].heartbeat_seconds:.0f} s ago" if workers else "none has registered"
        return Finding("workers", service, "failure", f"no worker is alive: {last}", advice)
    if silent := len(workers) - len(alive):
        said = f"{silent} of {len(workers)} workers fell silent; their jobs are given to others"
        return Finding("workers", service, "warning", said, "If it lasts, see the log of the worker")
    return Finding("workers", service, "ok", "alive")


PROBES: Final[tuple[tuple[str, Probe], ...]] = (
    ("connections", _connections),
    ("locks", _locks),
    ("statements", _slow),
    ("migrations", _migrations),
    ("clock", _clock),
    ("jobs", _jobs),
    ("nightly runs", _parked),
    ("messages", _messages),
    ("refunds", _refunds),
    ("reconciliation", _reconciled),
    ("queues", _queues),
    ("workers", _workers),
)
