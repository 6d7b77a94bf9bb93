"""What a database is made of, as lines that can be compared: its tables and all that belongs to them.

Of what is procrastinate's a line has the digest only. Columns of its tables come by name: its migrations add them at
the end, where its own schema has them in the middle, and everybody names the columns that they mean.
"""

from __future__ import annotations

import hashlib
import sys
from typing import LiteralString

import psycopg

LIBRARY = "procrastinate"

_OWN: LiteralString = "relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%'"
_COLUMNS: LiteralString = f"""
    SELECT 'column ' || relname || '.' || attname,
        concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
            'default ' || pg_get_expr(adbin, adrelid), nullif('identity ' || attidentity::text, 'identity '),
            nullif('generated ' || attgenerated::text, 'generated '),
            CASE WHEN relname NOT LIKE 'procrastinate%' THEN '#' || attnum END)
    FROM pg_attribute JOIN pg_class AS relation ON relation.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND {_OWN} AND attnum > 0 AND NOT attisdropped
"""
_RELATIONS: LiteralString = f"""
    SELECT 'relation ' || relname, concat_ws(' ', relkind, relpersistence,
        CASE WHEN relrowsecurity THEN 'row security' END, array_to_string(reloptions, ','),
        replace(relacl::text, current_user, 'owner'))
    FROM pg_class WHERE relkind IN ('r', 'S', 'v', 'm', 'p') AND {_OWN}
"""
_SEQUENCES: LiteralString = f"""
    SELECT 'sequence ' || relname, concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax,
        seqcache, seqcycle, 'of ' || refobjid::regclass || '.' || (
            SELECT attname FROM pg_attribute WHERE attrelid = refobjid AND attnum = refobjsubid
        ))
    FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
    LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')
    WHERE {_OWN}
"""
_CONSTRAINTS: LiteralString = f"""
    SELECT 'constraint ' || relname || ' ' || conname, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE {_OWN}
"""
_INDEXES: LiteralString = f"""
    SELECT 'index ' || indexrelid::regclass,
        concat_ws(' ', pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid THEN 'invalid' END)
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE {_OWN}
"""
_TRIGGERS: LiteralString = f"""
    SELECT 'trigger ' || relname || ' ' || tgname, pg_get_triggerdef(pg_trigger.oid)
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND {_OWN}
"""
_FUNCTIONS: LiteralString = """
    SELECT 'function ' || pg_proc.oid::regprocedure, encode(sha256(pg_get_functiondef(pg_proc.oid)::bytea), 'hex')
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
_TYPES: LiteralString = """
    SELECT 'type ' || typname, concat_ws(' ', typtype,
        (SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid),
        (SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
         FROM pg_attribute WHERE attrelid = typrelid AND typtype = 'c'))
    FROM pg_type LEFT JOIN pg_class ON pg_class.oid = typrelid
    WHERE typnamespace = 'public'::regnamespace AND (typtype = 'e' OR relkind = 'c')
"""
_TABLES: LiteralString = f"SELECT relname FROM pg_class WHERE relkind = 'r' AND {_OWN} ORDER BY 1"


def describe(connection: psycopg.Connection) -> list[str]:
    """One line for each thing of the schema, and one for each table that the schema fills with rows."""
    lines = list[str]()
    for query in (
        _RELATIONS, _COLUMNS, _SEQUENCES, _CONSTRAINTS, _INDEXES, _TRIGGERS, _FUNCTIONS, _TYPES,
    ):  # fmt: skip
        lines += [_line(name, definition) for name, definition in connection.execute(query)]
    for (table,) in connection.execute(_TABLES).fetchall():
        rows = [str(row) for row in connection.execute(f'SELECT * FROM "{table}"'.encode())]
        if rows:
            lines.append(f"rows {table}: {len(rows)} {_digest(sorted(rows))}")
    return sorted(lines)


def _line(name: str, definition: str) -> str:
    if LIBRARY in name:
        definition = _digest([definition])
    return f"{name}: {' '.join(definition.split())}"


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as database:
        print("\n".join(describe(database)))
