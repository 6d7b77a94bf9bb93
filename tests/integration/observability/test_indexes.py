"""The indexes of the guide are there and are used when tables are large."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

ROWS = 100_000

# (service, table, index, the columns filled with something else than a default for their type, the query)
CASES = [
    ("users", "users", "idx_users_email", "email = 'person500@example.com'"),
    ("policies", "policies", "idx_policies_user_id", "user_id = md5('500')::uuid"),
    ("payments", "payments", "idx_payments_status", "status = 'processing'"),
    ("quotes", "idempotency_keys", "idx_idempotency_keys_created_at", "created_at < now() - interval '72 hours'"),
]
_VALUES = {
    "uuid": "md5(n::text)::uuid",
    "timestamp with time zone": "now()",
    "date": "current_date",
    "integer": "n",
    "bigint": "n",
    "smallint": "1",
    "boolean": "false",
    "jsonb": "'{}'",
    "ARRAY": "'{}'",
    "interval": "'1 day'",
    "bytea": "''",
    "character": "'MZN'",
}
_SPECIAL = {
    "email": "'person' || n || '@example.com'",
    "status": "CASE WHEN n % 1000 = 0 THEN 'processing' ELSE 'succeeded' END",
    "number": "'N' || n",
    "currency": "'MZN'",
}


@pytest.mark.parametrize(("service", "table", "index", "condition"), CASES)
def test_index_of_the_guide_is_used_at_size(
    make_database: Callable[[str], str], service: str, table: str, index: str, condition: str
) -> None:
    with psycopg.connect(make_database(service), autocommit=True) as connection:
        assert connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", (index,)).fetchone()
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
            " AND is_generated = 'NEVER' AND is_nullable = 'NO'",
            (table,),
        ).fetchall()
        # The rows need not make sense, they need to be many: rules between columns and tables do not matter here.
        for (name,) in connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('c', 'f')", (table,)
        ).fetchall():
            connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
        names = ", ".join(f'"{name}"' for name, _ in columns)
        values = ", ".join(_SPECIAL.get(name) or _VALUES.get(kind, "'x' || n") for name, kind in columns)
        many = f"INSERT INTO {table} ({names}) SELECT {values} FROM generate_series(1, {ROWS}) AS n"
        connection.execute("SET session_replication_role = replica")  # no triggers
        connection.execute(many.encode())
        connection.execute(f"ANALYZE {table}".encode())
        plan = connection.execute(f"EXPLAIN SELECT * FROM {table} WHERE {condition}".encode()).fetchall()
    assert any(index in line for (line,) in plan), plan
