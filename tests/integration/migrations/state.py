"""What a database holds: as a file of INSERTs, and as rows that can be compared."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bazarutod import embedded

# The revisions write these themselves.
_LEFT_OUT = ("accounts", "alembic_version")
# Headers and settings of the program that dumps, which differ from one version and one run to the next.
_NOISE = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL (%s) ORDER BY 1
"""


def dump(url: str) -> str:
    """The rows and sequences of a database; each statement names its columns."""
    options = ["--data-only", "--column-inserts", *(f"--exclude-table={table}" for table in _LEFT_OUT)]
    command = [str(embedded.binaries() / "pg_dump"), *options, url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "".join(f"{line}\n" for line in printed.splitlines() if line and not line.startswith(_NOISE))


def load(url: str, state: Path) -> None:
    """Put a file into a database whose tables are empty; not through triggers, which ran when the rows were made."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(state.read_bytes())


@dataclass(frozen=True)
class Table:
    """Some columns of all rows of a table. A row is JSON, with the number of times that it is there."""

    columns: tuple[str, ...]
    rows: Counter[str]


def tables(connection: psycopg.Connection) -> dict[str, Table]:
    """Every table by its name."""
    names = [name for (name,) in connection.execute(_TABLES, (list(_LEFT_OUT),)).fetchall()]
    return {name: read(connection, name) for name in names}


def read(connection: psycopg.Connection, name: str, columns: tuple[str, ...] = ()) -> Table:
    """One table; without columns, all of it."""
    cursor = connection.execute(sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(sql.Identifier(name)))
    rows = [row for (row,) in cursor]
    columns = columns or tuple(rows[0] if rows else ())
    return Table(columns, Counter(json.dumps({column: row[column] for column in columns}) for row in rows))
