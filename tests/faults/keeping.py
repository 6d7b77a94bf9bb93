"""What databases hold at one moment, to be put back as often as it is needed.

To put a policy of many months back takes some milliseconds, to live through those months again takes seconds.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

_TABLES = """
    SELECT c.relname, array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '')
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY c.relname ORDER BY c.relname
"""


class Kept:
    """The rows of all tables of a database, as they were last kept under a name."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection, self._name = connection, name
        self._tables = connection.execute(_TABLES).fetchall()
        self._put_back = sql.Composed([])
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))

    def keep(self) -> None:
        """Keep what the tables hold now."""
        statements = [
            # Neither triggers nor keys: what is put back was right when it was kept.
            sql.SQL("BEGIN; SET LOCAL session_replication_role = replica"),
            *(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name, _ in self._tables),
        ]
        for name, columns in self._tables:
            table, copy = sql.Identifier(name), sql.Identifier(self._name, name)
            self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(copy))
            (has_rows,) = self._one(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table))
            if has_rows:
                self._connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} AS TABLE {}").format(copy, table))
                listed = sql.SQL(", ").join(map(sql.Identifier, columns))
                statements.append(
                    sql.SQL("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM {2}").format(
                        table, listed, copy
                    )
                )
        self._put_back = sql.SQL("; ").join([*statements, sql.SQL("COMMIT")])

    def put_back(self) -> None:
        """Let the tables hold what they held then."""
        self._connection.execute(self._put_back, prepare=False)

    def _one(self, query: sql.Composed) -> Any:
        return self._connection.execute(query).fetchone()
