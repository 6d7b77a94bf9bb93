"""PostgreSQL: a pool of connections, transactions, and reads that need none.

Data functions take a `Session` and never commit; servicers and jobs open the transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from libs.db.pool import Pool, check_configured
from libs.db.replica import Replica
from libs.errors import ConcurrentChange, Exhausted, Unavailable
from libs.telemetry import metrics


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""

    reason = "DEPENDENCY_UNAVAILABLE"


class PoolExhausted(Exhausted):
    """Every database connection of the process is in use."""

    reason = "OVERLOADED"


# What another transaction got in the way of. The whole transaction may be repeated.
_LOST_RACES: dict[type[BaseException], str] = {
    pg.SerializationFailure: "serialization",
    pg.DeadlockDetected: "deadlock",
    pg.LockNotAvailable: "lock_timeout",
}


class Query:
    """A select that is compiled once, for reads that everybody waits for. Parameters are `bindparam`s, by name."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.sql = str(statement.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]


class Database:
    """One service's database, as one process sees it."""

    def __init__(self, url: str, settings: DbSettings, name: str, replica_url: str = "") -> None:
        """`url` is a libpq URL; `name` is what the server shows as the application. Connects on first use.

        With a `replica_url`, reads go there while the replica is well; that is looked at by `look_at_replica`.
        """
        check_configured(url)
        self._slow = settings.slow_query.total_seconds()
        self.url = url
        self.pool = Pool(url, settings, name)
        self._replica = Replica(replica_url, settings, name) if replica_url else None
        self._engine = self._make_engine(self._connect)
        self._fresh = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reading = self._fresh
        if self._replica:
            self._reading = self._make_engine(self._connect_to_read).execution_options(isolation_level="AUTOCOMMIT")

    def open(self) -> None:
        """Begin to hold connections."""
        self.pool.open()
        if self._replica:
            self._replica.pool.open()
        metrics.before_page(self.observe_pool)

    def close(self) -> None:
        """Give every connection back to the server."""
        metrics.not_before_page(self.observe_pool)
        if self._replica:
            self._replica.pool.close()
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
    def reading(self, *, fresh: bool = False) -> Iterator[Session]:
        """For reads of one statement: each sees what is committed, and no transaction is held.

        A replica may be a moment behind; what must be seen as it is now is read `fresh`.
        """
        with self._translated_errors(), Session(self._fresh if fresh else self._reading) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """For reads of several statements that have to agree: all see what was committed when the first began."""
        with self.transaction() as session:
            session.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield session

    def read(self, query: Query, **parameters: object) -> list[Any]:
        """The rows of a compiled query, as named tuples of what the driver makes of each column.

        It goes past SQLAlchemy, which costs four times the query: measured, 57 against 280 µs a read by id.
        """
        with self._translated_errors():
            connection = (self._replica.borrow() if self._replica else None) or self.pool.getconn()
            observed = spans.Observed(query.sql, self._slow)
            try:
                if not connection.autocommit:
                    connection.autocommit = True
                rows = connection.cursor(row_factory=namedtuple_row).execute(query.sql, parameters).fetchall()
            except BaseException as error:
                observed.end(error)
                raise
            finally:
                connection.close()  # back to its pool
            observed.end()
            return rows

    def ping(self) -> float:
        """Ask the database for nothing; returns the seconds it took. `DatabaseUnavailable` when it fails."""
        started = time.perf_counter()
        with self.reading(fresh=True) as session:
            session.execute(sa.text("SELECT 1"))
        return time.perf_counter() - started

    def look_at_replica(self) -> None:
        """See whether the replica, if there is one, can be read from. To be called every few seconds."""
        if self._replica:
            with self.reading(fresh=True) as session:
                written = session.execute(sa.text("SELECT pg_current_wal_lsn()::text")).scalar_one()
            self._replica.look(written)

    def observe_pool(self) -> None:
        """Bring the gauges of the pool up to date."""
        pools = [self.pool, *([self._replica.pool] if self._replica else [])]
        stats = [pool.get_stats() for pool in pools]
        used = sum(pool.lent for pool in pools)
        idle = sum(pool_stats.get("pool_available", 0) for pool_stats in stats)
        metrics.db_connections_active.set(used)
        metrics.db_connections_idle.set(idle)
        metrics.db_connections_max.set(sum(pool.max_size for pool in pools))
        metrics.db_connections_waiting.set(sum(pool_stats.get("requests_waiting", 0) for pool_stats in stats))
        metrics.db_client_connections.labels("used").set(used)
        metrics.db_client_connections.labels("idle").set(idle)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn what the driver says into what the callers of the platform are told."""
        try:
            yield
        except (psycopg.OperationalError, pg.ReadOnlySqlTransaction, sa.exc.DBAPIError) as error:
            # What the pool says on the way to a session comes wrapped as well.
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            if isinstance(cause, psycopg_pool.TooManyRequests):
                raise PoolExhausted from error
            if isinstance(cause, psycopg_pool.PoolTimeout):
                # A dead server and a busy pool both end in a time-out; only the busy pool has lent all it has.
                metrics.db_connection_timeouts.inc()
                raise (PoolExhausted if self.pool.is_exhausted else DatabaseUnavailable)() from error
            if cause is not None and (kind := _LOST_RACES.get(type(cause))):
                metrics.db_lost_races.labels(kind).inc()
                raise ConcurrentChange from error
            if isinstance(cause, pg.ReadOnlySqlTransaction):
                # The server has become a standby. New connections find the new primary, where there is one.
                self.pool.drain()
                raise DatabaseUnavailable from error
            if isinstance(cause, psycopg.OperationalError):
                raise DatabaseUnavailable from error
            raise

    def _make_engine(self, connect: Callable[[], psycopg.Connection]) -> sa.Engine:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=NullPool,
            use_native_hstore=False,
            hide_parameters=True,  # an error names its statement in the log; what people entered stays out of it
        )
        spans.trace_queries(engine, self._slow)
        return engine

    def _connect_to_read(self) -> psycopg.Connection:
        return _in_transactions((self._replica.borrow() if self._replica else None) or self.pool.getconn())

    def _connect(self) -> psycopg.Connection:
        return _in_transactions(self.pool.getconn())


def _in_transactions(connection: psycopg.Connection) -> psycopg.Connection:
    """SQLAlchemy begins transactions by not being in autocommit, in which `Database.read` leaves a connection."""
    if connection.autocommit:
        connection.autocommit = False
    return connection


def when_committed(session: Session, then: Callable[[], None]) -> None:
    """Do something once the transaction is committed, and never if it is undone. For counting: it must not fail."""
    sa.event.listen(session, "after_commit", lambda _session: then(), once=True)


def violates(error: sa.exc.IntegrityError, constraint: str) -> bool:
    """Whether a statement failed because of the constraint of that name."""
    return isinstance(error.orig, psycopg.Error) and error.orig.diag.constraint_name == constraint
