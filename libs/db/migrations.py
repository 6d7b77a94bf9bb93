"""Bringing a service's database to the revision that its code needs, while the service is at work.

A revision that changes a table is refused when it cannot have its lock soon, because every call that needs the table
waits behind it; then it is tried again. What takes long is a revision of its own and holds no lock that calls need.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa
import structlog
from psycopg import errors as pg

from libs.db.pool import check_configured

# Any constant: it keeps two migrating processes of one service from running at once.
_LOCK = 4_711_001
_LOCK_TIMEOUT = "2s"  # as long as a call waits for a lock
_TRIES = 5
_PAUSE = 1.0  # seconds in which the calls that waited are answered
_TELL_EVERY = 5.0  # seconds

log = structlog.get_logger("migrations")


class TablesInUse(RuntimeError):
    """Others kept using the tables that a migration is to change. What came before is done; run it again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def upgrade(url: str, service: ModuleType, revision: str = "head") -> None:
    """Apply what is missing of `<service>/migrations/versions`. A second caller waits until the first is done."""
    check_configured(url)
    # Imported here: only this verb needs it, and it costs every other process 15 MiB and a tenth of a second.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(str(service.__file__)).parent / "migrations"))
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(_limit(_LOCK_TIMEOUT))
        connection.execute(sa.text("SET statement_timeout = 0"))  # the database's own is for calls
        connection.commit()
        _wait_for_turn(connection)
        config.attributes["connection"] = connection
        for tries_left in reversed(range(_TRIES)):
            try:
                command.upgrade(config, revision)
                return
            except sa.exc.OperationalError as error:
                if not isinstance(error.orig, pg.LockNotAvailable | pg.DeadlockDetected):
                    raise
                connection.rollback()
                if not tries_left:
                    raise TablesInUse from error
                time.sleep(_PAUSE)


def run(metadata: sa.MetaData | None = None) -> None:
    """What a service's `migrations/env.py` calls: run within the connection that `upgrade` opened."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def create_index(name: str, on: str, *, unique: bool = False) -> None:
    """Make an index, for a revision that does nothing else: no call waits for it. It may be repeated."""
    from alembic import op

    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # It waits for every transaction that is older, and nobody waits behind it.
        connection.execute(_limit("0"))
        try:
            # One that was given up midway stays, is of no use, and has the name.
            if connection.scalar(_IS_INVALID, {"name": name}):
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
            kind = "UNIQUE INDEX" if unique else "INDEX"
            connection.execute(sa.text(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}"))
        finally:
            connection.execute(_limit(_LOCK_TIMEOUT))


def run_in_batches(statement: str, doing: str) -> None:
    """Run a statement until it did nothing, each time in its own transaction; for a revision that does nothing else.

    The statement gives one number: how many rows it did. Begun anew, it goes on behind what it did before, since a
    revision that was broken off is run again. The log says how far it is; `doing` is what it says.
    """
    from alembic import op

    done, reported_at = 0, time.monotonic()
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        while count := connection.scalar(sa.text(statement)):
            done += count
            if time.monotonic() > reported_at + _TELL_EVERY:
                reported_at = time.monotonic()
                log.info(doing, rows=done)
    if done:
        log.info(doing, rows=done, done=True)


_IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def _limit(waiting: str) -> sa.TextClause:
    """Set how long a statement waits for a lock."""
    return sa.text(f"SET lock_timeout = '{waiting}'")


def _wait_for_turn(connection: sa.Connection) -> None:
    """Become the one that migrates.

    Asks again and again, and holds no transaction in between. A statement that waits has a snapshot, for whose end the
    other's concurrent index waits: PostgreSQL would end that deadlock by giving up the index.
    """
    while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.rollback()
        time.sleep(_PAUSE)
    connection.commit()
