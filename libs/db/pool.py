"""The pool of connections of one process, and whether the server can give it as many as it may ask for."""

from __future__ import annotations

import json
import select
from datetime import timedelta
from typing import Any

import psycopg
import psycopg_pool
from psycopg.types.json import set_json_loads

from libs.config import DbSettings

_JSON = json.JSONDecoder()
_RECONNECT_SECONDS = 2.0  # then the next caller tries anew: waits that grow for minutes would outlast an outage


class DatabaseNotConfigured(ValueError):
    """The service's `services.*.db_url` is not set, and neither is its `db_url_file`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class PoolTooLarge(ValueError):
    """The server does not allow as many connections as the configuration asks for."""


class LentConnection(psycopg.Connection):
    """A connection whose `close` gives it back, also after the server has closed it.

    The library's own does nothing then: the connection would count as lent for ever, and a restart of the server would
    cost the pool each one that was in use.
    """

    def close(self) -> None:
        """Back to the pool, which makes another one in place of what is broken."""
        if self.closed and isinstance(self._pool, Pool):
            self._pool.putconn(self)
        else:
            super().close()


class Pool(psycopg_pool.ConnectionPool[psycopg.Connection]):
    """Connections that are lent, at most `max_connections` of them."""

    def __init__(self, url: str, settings: DbSettings, name: str) -> None:
        """`url` is a libpq URL; `name` is what the server shows as the application. Connects when it is opened."""
        self._lent: set[int] = set()
        super().__init__(
            url,
            connection_class=LentConnection,
            min_size=min(settings.min_connections, settings.max_connections),
            max_size=settings.max_connections,
            max_lifetime=settings.max_lifetime.total_seconds(),
            max_idle=settings.idle_timeout.total_seconds(),
            timeout=settings.acquire_timeout.total_seconds(),
            max_waiting=settings.max_connections * 20,
            reconnect_timeout=_RECONNECT_SECONDS,
            close_returns=True,
            open=False,
            name=name,
            configure=_configure,
            kwargs={
                "application_name": name,
                "connect_timeout": 3,
                "prepare_threshold": settings.prepare_threshold or None,
                # Nobody waits for a lock or a query longer than the call that needs it.
                "options": (
                    f"-c statement_timeout={_ms(settings.statement_timeout)}"
                    f" -c lock_timeout={_ms(settings.lock_timeout)}"
                    " -c idle_in_transaction_session_timeout=15000 -c timezone=UTC"
                ),
            },
        )

    @property
    def lent(self) -> int:
        """How many connections are in use now."""
        return len(self._lent)

    @property
    def is_exhausted(self) -> bool:
        """Whether every connection that there may be is in use."""
        return len(self._lent) >= self.max_size

    def getconn(self, timeout: float | None = None) -> psycopg.Connection:
        """Borrow a connection that the server has not closed meanwhile."""
        connection = super().getconn(timeout)
        while _is_gone(connection):
            connection.pgconn.finish()
            super().putconn(connection)
            connection = super().getconn(timeout)
        self._lent.add(id(connection))
        return connection

    def putconn(self, conn: psycopg.Connection) -> None:
        """Give it back."""
        self._lent.discard(id(conn))
        super().putconn(conn)


def check_configured(url: str) -> None:
    """`DatabaseNotConfigured` for an empty URL. libpq would take it for the database of its own variables."""
    if not url:
        raise DatabaseNotConfigured


def check_capacity(url: str, settings: DbSettings, processes: int) -> None:
    """`PoolTooLarge` when the server cannot hold the pools of so many processes.

    A server that does not answer is not asked again: the process starts, and is ready when the server is. Without
    prepared statements PgBouncer is in between, and shares few connections among many.
    """
    check_configured(url)
    if not settings.prepare_threshold:
        return
    try:
        with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
            row = connection.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
                " - coalesce(current_setting('reserved_connections', true)::int, 0),"
                " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
                " (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())"
            ).fetchone()
    except psycopg.OperationalError:
        return
    allowed = min(limit for limit in row or () if limit is not None)
    needed = settings.max_connections * processes
    if needed > allowed:
        demand = f"{settings.max_connections} in each of {processes} processes" if processes > 1 else f"{needed}"
        raise PoolTooLarge(f"db.max_connections: {demand} is more than the {allowed} that the server allows")


def _configure(connection: psycopg.Connection) -> None:
    """What a connection needs before it is lent for the first time."""
    set_json_loads(_read_json, connection)


def _read_json(text: bytes | str) -> Any:
    """JSON as the server sends it, in UTF-8. The library's own function looks for the encoding of each value first."""
    return _JSON.decode(text if isinstance(text, str) else str(text, "utf-8"))


def _is_gone(connection: psycopg.Connection) -> bool:
    """Whether the server has closed it, as far as this machine knows; nothing is sent to ask."""
    try:
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN)
        while poll.poll(0):  # a notice perhaps, or the end
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return connection.pgconn.status != psycopg.pq.ConnStatus.OK


def _ms(value: timedelta) -> int:
    return int(value.total_seconds() * 1000)
