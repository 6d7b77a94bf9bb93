"""What an operator does with the nightly runs of one service: see how far they are, and have tried again what they
could not do.

Everything here works on a plain connection that commits by itself. A service without nightly runs has no tables of
them, and nothing to show.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import procrastinate
from psycopg import Connection
from psycopg.rows import class_row, tuple_row

# The last run of each kind, and those before it that have not ended.
_RUNS: Final[LiteralString] = """
    SELECT name, occasion, done, expected, started_at, moved_at, ended_at,
        (SELECT count(*) FROM parked_items AS item WHERE item.name = run.name) AS parked
    FROM nightly_runs AS run
    WHERE ended_at IS NULL OR id = (
        SELECT id FROM nightly_runs AS last WHERE last.name = run.name ORDER BY due_at DESC, id DESC LIMIT 1
    )
    ORDER BY name, due_at
"""
_PARKED: Final[LiteralString] = """
    SELECT name, item_id, reason, tries, parked_at, tried_at FROM parked_items
    WHERE %(name)s = '' OR name = %(name)s ORDER BY name, item_id LIMIT %(limit)s
"""
_COUNTS: Final[LiteralString] = "SELECT name, count(*) FROM parked_items GROUP BY name ORDER BY name"
# Begun anew at its end: everything that is parked is tried once more.
_BEGIN_ANEW: Final[LiteralString] = """
    UPDATE nightly_runs SET retried = '00000000-0000-0000-0000-000000000000', ended_at = NULL
    WHERE id = (SELECT id FROM nightly_runs WHERE name = %(name)s ORDER BY due_at DESC, id DESC LIMIT 1)
        AND EXISTS (SELECT FROM parked_items WHERE name = %(name)s)
    RETURNING queue, arguments
"""
_deferrer = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


@dataclass(frozen=True, slots=True)
class RunRow:
    """How far a run is. `parked` are all items of its kind that could not be done, in whichever run."""

    name: str
    occasion: str
    done: int
    expected: int
    started_at: datetime
    moved_at: datetime
    ended_at: datetime | None
    parked: int

    @property
    def rate(self) -> float:
        """Items done a second, on average."""
        seconds = ((self.ended_at or self.moved_at) - self.started_at).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """What a run could not do, and why."""

    name: str
    item_id: UUID
    reason: str
    tries: int
    parked_at: datetime
    tried_at: datetime


def list_runs(connection: Connection[Any]) -> list[RunRow]:
    """The last run of each kind, and those before it that have not ended."""
    if not _has_runs(connection):
        return []
    with connection.cursor(row_factory=class_row(RunRow)) as cursor:
        return cursor.execute(_RUNS).fetchall()


def list_parked(connection: Connection[Any], name: str, limit: int) -> list[ParkedRow]:
    """What the runs of a kind could not do; of all kinds when the name is empty."""
    if not _has_runs(connection):
        return []
    with connection.cursor(row_factory=class_row(ParkedRow)) as cursor:
        return cursor.execute(_PARKED, {"name": name, "limit": limit}).fetchall()


def count_parked(connection: Connection[Any]) -> dict[str, int]:
    """How many items of each kind of run are parked; kinds without any are left out."""
    if not _has_runs(connection):
        return {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        return dict(cursor.execute(_COUNTS).fetchall())


def retry_parked(connection: Connection[Any], name: str) -> int:
    """Have what is parked of a kind tried again at once; gives how many items that are."""
    count = count_parked(connection).get(name, 0)
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(_BEGIN_ANEW, {"name": name}).fetchone()
        if row is None:
            return 0
        queue, arguments = row
        _deferrer.configure_task(name, queue=queue, connection=connection).defer(**arguments)
    return count


def _has_runs(connection: Connection[Any]) -> bool:
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("SELECT to_regclass('parked_items') IS NOT NULL").fetchone()
    return bool(row and row[0])
