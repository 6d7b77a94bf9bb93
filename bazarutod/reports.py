"""What operators ask a database server: what is slow, who is connected, who waits for whom, what is logged."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.rows import dict_row

Rows = list[dict[str, Any]]

SLOW: Final = """
    SELECT calls, round(mean_exec_time::numeric, 2)::float8 AS mean_ms,
        round(max_exec_time::numeric, 2)::float8 AS max_ms,
        round(total_exec_time::numeric, 1)::float8 AS total_ms, rows, query
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY mean_exec_time DESC LIMIT %s
"""
CONNECTIONS: Final = """
    SELECT application_name AS application, coalesce(state, 'unknown') AS state, count(*) AS connections,
        coalesce(round(extract(epoch FROM max(now() - state_change))::numeric, 1), 0)::float8 AS longest_seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1, 2 ORDER BY 1, 2
"""
LOCKS: Final = """
    SELECT waiting.pid, waiting.application_name AS application, held.mode, held.locktype AS kind,
        coalesce(held.relation::regclass::text, '') AS relation,
        round(extract(epoch FROM now() - waiting.query_start)::numeric, 1)::float8 AS seconds,
        left(waiting.query, 200) AS query, blocker.pid AS blocked_by, blocker.application_name AS blocker,
        coalesce(blocker.state, '') AS blocker_state, left(coalesce(blocker.query, ''), 200) AS blocker_query
    FROM pg_locks AS held
    JOIN pg_stat_activity AS waiting USING (pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
    JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid
    WHERE NOT held.granted AND waiting.datname = current_database()
    ORDER BY seconds DESC
"""
SERVER: Final = """
    SELECT current_setting('max_connections')::int AS max_connections,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        (SELECT count(*) FROM pg_locks WHERE NOT granted) AS ungranted_locks,
        (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) AS deadlocks,
        pg_is_in_recovery() AS is_replica
"""
REPLICAS: Final = """
    SELECT application_name AS application, coalesce(state, 'unknown') AS state,
        coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint AS bytes_behind,
        coalesce(extract(epoch FROM replay_lag), 0)::float8 AS seconds_behind
    FROM pg_stat_replication ORDER BY 1
"""
LOGGING: Final = ("log_statement", "log_min_duration_statement")


class StatementsUnknown(RuntimeError):
    """The server does not keep statistics of statements."""


def connect(url: str) -> psycopg.Connection[dict[str, Any]]:
    """A connection for reports, which takes no longer than a few seconds for anything."""
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=3,
        row_factory=dict_row,
        prepare_threshold=None,
        application_name="bazarutod db",
    )


def slow(connection: psycopg.Connection[dict[str, Any]], limit: int) -> Rows:
    """The statements of this database that take longest, by their mean. `StatementsUnknown` when none are kept."""
    with suppress(pg.InsufficientPrivilege):  # then it is there already, or somebody with more rights must make it
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    try:
        return connection.execute(SLOW, (limit,)).fetchall()
    except pg.UndefinedTable:
        reason = "a superuser must run CREATE EXTENSION pg_stat_statements (or give --login of one)"
        raise StatementsUnknown(reason) from None
    except pg.ObjectNotInPrerequisiteState:
        raise StatementsUnknown("shared_preload_libraries of the server must name pg_stat_statements") from None


def status(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any]:
    """Connections, waiting locks with who is in the way, and replicas, as the server sees them."""
    server = connection.execute(SERVER).fetchone()
    return {
        "server": server,
        "connections": connection.execute(CONNECTIONS).fetchall(),
        "locks": connection.execute(LOCKS).fetchall(),
        "replicas": [] if server and server["is_replica"] else connection.execute(REPLICAS).fetchall(),
    }


def log_statements(connection: psycopg.Connection[dict[str, Any]], on: bool, slower_than_ms: int) -> dict[str, Any]:
    """Have the server log all statements, or what its own configuration says again. Gives values before and after."""
    before = _logging(connection)
    values = {"log_statement": "all", "log_min_duration_statement": str(slower_than_ms)}
    for name in LOGGING:
        setting = sql.Identifier(name)
        if on:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(setting, sql.Literal(values[name])))
        else:
            connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(setting))
    connection.execute("SELECT pg_reload_conf()")
    # The server reads its configuration in a moment, and a session sees it with its next statement after that.
    for _ in range(20):
        after = _logging(connection)
        if after != before:
            break
        connection.execute("SELECT pg_sleep(0.05)")
    return {"before": before, "after": after}


def _logging(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any]:
    shown = sql.SQL(", ").join(sql.SQL("current_setting({0}) AS {1}").format(n, sql.Identifier(n)) for n in LOGGING)
    return connection.execute(sql.SQL("SELECT {}").format(shown)).fetchone() or {}
