"""A copy of the database that only reads are sent to, while it answers and is not far behind."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import psycopg_pool
import structlog

from libs.config import DbSettings
from libs.db.pool import Pool
from libs.telemetry import metrics

log = structlog.get_logger("db")

_PATIENCE = 0.25  # seconds; the primary answers a read as well, so that nobody waits long for the replica


class Replica:
    """The replica of one database. It is read from only after a look has found it well."""

    def __init__(self, url: str, settings: DbSettings, name: str) -> None:
        self.pool = Pool(url, settings, f"{name}-reading")
        self.is_usable = False
        self._max_lag: timedelta = settings.replica_max_lag
        self._up_to_date_at = time.monotonic()

    def borrow(self) -> psycopg.Connection | None:
        """A connection to read with; None when the primary must be read from."""
        if not self.is_usable:
            return None
        try:
            return self.pool.getconn(_PATIENCE)
        except (psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
            self._set_usable(usable=False, reason=type(error).__name__)
            return None

    def look(self, written: str) -> None:
        """See how far the replica is behind the primary, which has written its log up to `written`."""
        try:
            with self.pool.connection(1.0) as connection:
                row = connection.execute(
                    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn,"
                    " extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8",
                    (written,),
                ).fetchone()
        except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests) as error:
            self._set_usable(usable=False, reason=type(error).__name__)
            return
        follows, up_to_date, since_last = row or (False, False, None)
        now = time.monotonic()
        if up_to_date:
            self._up_to_date_at = now
        # The last change that it applied may be old because nothing was written: it was up to date meanwhile.
        lag = 0.0 if up_to_date else min(now - self._up_to_date_at, since_last or float("inf"))
        metrics.db_replica_lag.set(lag)
        self._set_usable(usable=bool(follows) and lag <= self._max_lag.total_seconds(), reason=f"{lag:.1f} s behind")

    def _set_usable(self, *, usable: bool, reason: str) -> None:
        if usable != self.is_usable:
            self.is_usable = usable
            log.warning("replica is read from" if usable else "replica is not read from", reason=reason)
