"""What is done once a day by the clock of the domain, wherever that clock is moved to.

The queue knows which day each was put into it for: it is done once, whoever comes first, a worker or the command that
moves the clock.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from procrastinate import sql
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import UniqueViolation
from psycopg.types.json import Jsonb

from libs import clock
from libs.jobs.kinds import JobKind

DEFER: Final[Any] = sql.queries["defer_periodic_job"]


def values_of(kind: JobKind[Any], occurrence: datetime) -> dict[str, Any]:
    """What `DEFER` needs to put a daily kind into the queue for one of its days."""
    timestamp = int(occurrence.timestamp())
    return {
        "task_name": kind.name,
        "periodic_id": "",
        "defer_timestamp": timestamp,
        "queue": kind.queue,
        "priority": kind.priority,
        "lock": None,
        "queueing_lock": kind.name,  # it waits once at most
        "args": Jsonb({"timestamp": timestamp}),
    }


class Daily:
    """The daily kinds of one worker."""

    def __init__(self, connector: BaseAsyncConnector) -> None:
        self._connector = connector
        self._kinds: list[JobKind[Any]] = []
        self._deferred: dict[str, datetime] = {}  # the last occurrence of each that is known to have been

    def add(self, kind: JobKind[Any]) -> None:
        """Know a kind. `ValueError` when it says no time of the day."""
        if not kind.daily:
            raise ValueError(f"{kind.name} is not daily")
        self._kinds.append(kind)

    async def defer_due(self) -> None:
        """Put into the queue what the day has come for, and what was missed while no worker was there."""
        now = clock.now()
        for kind in self._kinds:
            occurrence = kind.last_occurrence(now)
            if self._deferred.get(kind.name) != occurrence:
                with suppress(UniqueViolation):  # the one of the day before still waits, and does the same
                    await self._connector.execute_query_one_async(query=DEFER, **values_of(kind, occurrence))
                self._deferred[kind.name] = occurrence
