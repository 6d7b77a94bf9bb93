"""What a worker tells of its database: one line when it goes, one when it is back, and a gauge all the time."""

from __future__ import annotations

import time

import psycopg
import structlog

from libs import readiness
from libs.jobs import measures
from libs.jobs.link import is_refusal
from libs.telemetry import pages

_FRESH = 20.0  # seconds; a worker asks every five, and one that stands still asks no more

log = structlog.get_logger("jobs")


class Presence:
    """Whether the database is there, as logs and metrics show it. Depths that may be old are not shown."""

    def __init__(self) -> None:
        self._up = measures.database_gauge()
        self._gone_since: float | None = None
        self._refused = False
        self._answered_at: float | None = None
        pages.add(pages.READY, self._show)

    def gone(self, error: BaseException) -> None:
        """The database is away, still or again."""
        self.doubtful()
        if self._gone_since is None:
            self._gone_since = time.monotonic()
            log.warning("database gone", error=on_one_line(error))
        elif isinstance(error, psycopg.Error) and is_refusal(error) and not self._refused:
            self._refused = True  # it may be mended, as after a restore; if not, somebody has to know
            log.error("database refuses this worker", error=on_one_line(error))
        else:
            log.debug("database still gone", error=on_one_line(error))

    def doubtful(self) -> None:
        """Note that the database does not answer as it should."""
        self._up.set(0)
        self._answered_at = None
        measures.forget()

    def back(self) -> None:
        """Note that the database answers."""
        self._up.set(1)
        if self._answered_at is None:
            readiness.tell()
        self._answered_at = time.monotonic()
        if self._gone_since is not None:
            log.info("database back", seconds=round(time.monotonic() - self._gone_since, 1))
            self._gone_since = None
            self._refused = False

    def _show(self, _query: str, _authorization: str) -> pages.Answer:
        """`/readyz` of a worker: whether it has heard from its database a moment ago."""
        answered_at = self._answered_at
        fresh = answered_at is not None and time.monotonic() - answered_at < _FRESH
        return pages.readiness("" if fresh else "the database does not answer")


def on_one_line(error: BaseException) -> str:
    """What the database, or its driver, said."""
    return " ".join(str(error.__cause__ or error).split())
