"""Adding many rows by one statement, which is the same however many they are, so that it is prepared once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def adding(table: sa.Table, names: Iterable[str], on_conflict: str = "") -> sa.TextClause:
    """The statement that adds rows with these columns, and `on_conflict` at its end. It takes what `columns` gives.

    Arrays of arrays have no place in it, and neither has JSON.
    """
    types = {name: table.c[name].type.compile(dialect=_DIALECT) for name in names}
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    return sa.text(
        f"INSERT INTO {table.name} ({', '.join(types)}) SELECT * FROM unnest({arrays}) {on_conflict}"  # noqa: S608 - names of columns
    )


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows with the same columns, one at least, as one list for each column."""
    return {name: [row[name] for row in rows] for name in rows[0]}
