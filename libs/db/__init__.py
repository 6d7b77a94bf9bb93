"""PostgreSQL: a pool of connections, transactions, and reads that need none.

Data functions take a `Session` and never commit; servicers and jobs open the transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import psycopg_pool
import sqlalchemy as sa
from psycopg import errors as pg
from psycopg.rows import namedtuple_row
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from libs.config import DbSettings
from libs.db import spans
from libs.errors import ConcurrentChange, Exhausted, Unavailable
from libs.telemetry import metrics


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    reason = "DEPENDENCY_UNAVAILABLE"


class PoolExhausted(Exhausted):
    """Every database connection of the process is in use."""

    reason = "OVERLOADED"


# What another transaction got in the way of. The whole transaction may be repeated.
_LOST_RACES = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable)


class Query:
    """A select that is compiled once, for reads that everybody waits for. Parameters are `bindparam`s, by name."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.sql = str(statement.compile(dialect=PGDialect_psycopg()))


class Database:
    """One service's database, as one process sees it."""

    def __init__(self, url: str, settings: DbSettings, name: str) -> None:
        """`url` is a libpq URL; `name` is what the server shows as the application. Connects on first use."""
        self._settings = settings
        self.url = url
        self.pool = psycopg_pool.ConnectionPool(
            url,
            min_size=min(settings.min_connections, settings.max_connections),
            max_size=settings.max_connections,
            max_lifetime=settings.max_lifetime.total_seconds(),
            max_idle=settings.idle_timeout.total_seconds(),
            timeout=settings.acquire_timeout.total_seconds(),
            max_waiting=settings.max_connections * 20,
            close_returns=True,
            open=False,
            name=name,
            kwargs={
                "application_name": name,
                "connect_timeout": 3,
                # Nobody waits for a lock or a query longer than the call that needs it.
                "options": (
                    f"-c statement_timeout={_ms(settings.statement_timeout)}"
                    f" -c lock_timeout={_ms(settings.lock_timeout)}"
                    " -c idle_in_transaction_session_timeout=15000 -c timezone=UTC"
                ),
            },
        )
        self._engine = sa.create_engine(
            "postgresql+psycopg://", creator=self._connect, poolclass=NullPool, use_native_hstore=False
        )
        spans.trace_queries(self._engine, settings.slow_query)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def open(self) -> None:
        """Begin to hold connections."""
        self.pool.open()

    def close(self) -> None:
        """Give every connection back to the server."""
        self.pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Everything within is committed together, or not at all."""
        with (
            self._translated_errors(),
            Session(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """For reads of one statement: each sees what is committed, and no transaction is held."""
        with self._translated_errors(), Session(self._reading) as session:
            yield session

    def read(self, query: Query, **parameters: object) -> list[Any]:
        """The rows of a compiled query, as named tuples of what the driver makes of each column.

        It goes past SQLAlchemy, which costs four times the query: measured, 57 against 280 µs a read by id.
        """
        with self._translated_errors():
            connection = self.pool.getconn()
            observed = spans.Observed(query.sql, self._settings.slow_query.total_seconds())
            try:
                if not connection.autocommit:
                    connection.autocommit = True
                rows = connection.cursor(row_factory=namedtuple_row).execute(query.sql, parameters).fetchall()
            except BaseException as error:
                observed.end(error)
                raise
            finally:
                self.pool.putconn(connection)
            observed.end()
            return rows

    def ping(self) -> float:
        """Ask the database for nothing; returns the seconds it took. `DatabaseUnavailable` when it fails."""
        begun = time.perf_counter()
        with self.reading() as session:
            session.execute(sa.text("SELECT 1"))
        return time.perf_counter() - begun

    def observe_pool(self) -> None:
        """Bring the gauges of the pool up to date."""
        stats = self.pool.get_stats()
        idle = stats.get("pool_available", 0)
        metrics.db_connections_idle.set(idle)
        metrics.db_connections_active.set(stats.get("pool_size", 0) - idle)
        metrics.db_connections_waiting.set(stats.get("requests_waiting", 0))

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn what the driver says into what the callers of the platform are told."""
        try:
            yield
        except psycopg_pool.TooManyRequests as error:
            raise PoolExhausted from error
        except psycopg_pool.PoolTimeout as error:
            # A dead server and a busy pool both end in a time-out; only the busy pool holds all its connections.
            full = self.pool.get_stats().get("pool_size", 0) >= self._settings.max_connections
            raise (PoolExhausted if full else DatabaseUnavailable)() from error
        except (psycopg.OperationalError, sa.exc.DBAPIError) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            if isinstance(cause, _LOST_RACES):
                raise ConcurrentChange from error
            if isinstance(cause, psycopg.OperationalError):
                raise DatabaseUnavailable from error
            raise

    def _connect(self) -> psycopg.Connection:
        connection = self.pool.getconn()
        if connection.autocommit:  # `read` left it so; SQLAlchemy begins transactions by not being in it
            connection.autocommit = False
        return connection


def violates(error: sa.exc.IntegrityError, constraint: str) -> bool:
    """Whether a statement failed because of the constraint of that name."""
    return isinstance(error.orig, psycopg.Error) and error.orig.diag.constraint_name == constraint


def _ms(value: timedelta) -> int:
    return int(value.total_seconds() * 1000)
