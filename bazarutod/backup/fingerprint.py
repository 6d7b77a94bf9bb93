"""What a database holds, in few numbers: two databases with the same fingerprint hold the same.

Of each table the number of rows and a checksum that does not depend on their order; of each sequence how far it has
come; of the books the sums of debits and credits of each currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict

from bazarutod.backup import books

# A row's text depends on these, so both sides of a comparison set them.
_SETTINGS = (
    "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres';"
    "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0"
)
_OWN = """
    n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_RELATIONS = f"""
    SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'S') AND {_OWN} ORDER BY 1, 2
"""  # noqa: S608 - constants
_ANYTHING = f"""
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN}
"""  # noqa: S608
# Sums of parts of MD5, because the sum of the rows must not depend on their order; the same on every version.
_TABLE = """
    SELECT count(*), coalesce(sum(('x' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0),
           coalesce(sum(('x' || substr(h, 17))::bit(64)::bigint::numeric), 0)
    FROM (SELECT md5(t::text) AS h FROM ONLY {} t) hashed
"""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Part):
    """The content of one table."""

    rows: int
    checksum: str


class Fingerprint(_Part):
    """The content of one database."""

    tables: Mapping[str, Table]
    sequences: Mapping[str, int]
    trial_balance: Mapping[str, books.Sums]

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(table.rows for table in self.tables.values())

    def unbalanced(self) -> list[str]:
        """The currencies whose debits and credits differ."""
        return [
            f"the trial balance of {currency} is off by {sums.difference}"
            for currency, sums in self.trial_balance.items()
            if sums.difference
        ]


def take(connection: psycopg.Connection) -> Fingerprint:
    """The fingerprint of a database, within the transaction that the connection is in."""
    connection.execute(_SETTINGS)
    tables, sequences = {}, {}
    for schema, name, kind in connection.execute(_RELATIONS).fetchall():
        relation, label = sql.Identifier(schema, name), f"{schema}.{name}"
        if kind in ("S", b"S"):
            reached = sql.SQL("SELECT last_value - (NOT is_called)::int FROM {}").format(relation)
            sequences[label] = int(single(connection, reached)[0])
        else:
            rows, left, right = single(connection, sql.SQL(_TABLE).format(relation))
            tables[label] = Table(rows=rows, checksum=f"{left}:{right}")
    return Fingerprint(tables=tables, sequences=sequences, trial_balance=books.trial_balance(connection, tables))


def single(connection: psycopg.Connection, query: LiteralString | sql.Composed) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    row = connection.execute(query).fetchone()
    if row is None:
        raise LookupError("a query that always has a row has none")
    return row


def is_empty(connection: psycopg.Connection) -> bool:
    """Whether a database holds nothing but what extensions brought."""
    return single(connection, _ANYTHING) == (0,)


def differences(expected: Fingerprint, actual: Fingerprint) -> list[str]:
    """In words, what `actual` lacks or has too much; empty when both are the same."""
    deviations = [f"table {name} is missing" for name in expected.tables.keys() - actual.tables.keys()]
    deviations += [f"table {name} should not be there" for name in actual.tables.keys() - expected.tables.keys()]
    for name in expected.tables.keys() & actual.tables.keys():
        before, after = expected.tables[name], actual.tables[name]
        if before.rows != after.rows:
            deviations.append(f"table {name} has {after.rows} rows instead of {before.rows}")
        elif before.checksum != after.checksum:
            deviations.append(f"table {name} has the right number of rows and another content")
    for name, reached in expected.sequences.items():
        # A sequence goes on outside of transactions: it may be ahead of the moment of the backup, never behind.
        if actual.sequences.get(name, reached - 1) < reached:
            deviations.append(f"sequence {name} is behind {reached}: its next number was given out already")
    if expected.trial_balance != actual.trial_balance:
        deviations.append("the trial balance is another one")
    return sorted(deviations)
