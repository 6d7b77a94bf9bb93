"""Migrations while the service is at work: several at once, tables in use, and what one that died left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import services.policies
import services.quotes
from libs.db import migrations

KEY = "INSERT INTO idempotency_keys (subject, method, key, fingerprint) VALUES ('ana', 'm', %s, '')"
NEWEST = max(path.name[:4] for path in (Path(services.quotes.__path__[0]) / "migrations/versions").glob("0*.py"))
INDEX = """
    SELECT indisvalid, pg_get_indexdef(indexrelid) LIKE '%(created_at)' FROM pg_index
    WHERE indexrelid = 'idx_idempotency_keys_created_at'::regclass
"""
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
IN_TURN = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND query ~ '_advisory_lock|^ROLLBACK' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(migrations, "_PAUSE", 0.05)


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.usefixtures("quick")
def test_two_migrators_at_once_both_succeed_with_a_whole_index(empty: str) -> None:
    migrations.upgrade(empty, services.quotes, "0002")
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(empty) as customer,
        psycopg.connect(empty, autocommit=True) as watching,
    ):
        customer.execute(KEY, ("1",))  # until this ends, the first cannot go on with its index
        first = pool.submit(migrations.upgrade, empty, services.quotes)
        eventually(lambda: watching.execute(WAITING).rowcount == 1)
        second = pool.submit(migrations.upgrade, empty, services.quotes)
        eventually(lambda: watching.execute(IN_TURN).rowcount == 1)
        customer.commit()
        first.result(timeout=60)
        second.result(timeout=60)
        assert watching.execute(INDEX).fetchone() == (True, True)
        assert watching.execute("SELECT version_num FROM alembic_version").fetchall() == [(NEWEST,)]


def test_index_that_was_given_up_midway_is_made_anew(empty: str) -> None:
    migrations.upgrade(empty, services.quotes, "0002")
    with psycopg.connect(empty, autocommit=True) as connection:
        for key in ("1", "2"):
            connection.execute(KEY, (key,))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY idx_idempotency_keys_created_at ON idempotency_keys (subject)"
            )
        assert connection.execute(INDEX).fetchone() == (False, False)
        for _ in range(2):
            migrations.upgrade(empty, services.quotes)
            assert connection.execute(INDEX).fetchone() == (True, True)


@pytest.mark.usefixtures("quick")
def test_migration_that_cannot_have_its_lock_gives_way_and_goes_on_later(empty: str) -> None:
    migrations.upgrade(empty, services.policies, "0003")
    with psycopg.connect(empty) as customer:
        customer.execute("INSERT INTO policy_numbers (product_code, year, last) VALUES ('motor', 2026, 1)")
        with pytest.raises(migrations.TablesInUse):
            migrations.upgrade(empty, services.policies)
        customer.commit()
    migrations.upgrade(empty, services.policies)


@pytest.mark.usefixtures("quick")
def test_migration_tries_again_when_the_table_is_free(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.upgrade(empty, services.policies, "0003")
    pauses = list[float]()
    with psycopg.connect(empty) as customer:
        customer.execute("INSERT INTO policy_numbers (product_code, year, last) VALUES ('motor', 2026, 1)")

        def commit(seconds: float) -> None:
            pauses.append(seconds)
            customer.commit()

        monkeypatch.setattr("libs.db.migrations.time.sleep", commit)
        migrations.upgrade(empty, services.policies)
        assert customer.execute("SELECT last FROM policy_numbers WHERE product_code = 'MOT'").fetchall() == [(1,)]
    assert len(pauses) == 1


@pytest.mark.usefixtures("quick")
def test_index_waits_longer_than_a_lock_because_nobody_waits_behind_it(empty: str) -> None:
    migrations.upgrade(empty, services.quotes, "0002")
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(empty) as customer,
        psycopg.connect(empty, autocommit=True) as other,
    ):
        customer.execute(KEY, ("1",))
        migrating = pool.submit(migrations.upgrade, empty, services.quotes)
        eventually(lambda: other.execute(WAITING).rowcount == 1)
        other.execute("SELECT pg_sleep(0.3)")
        other.execute("SET lock_timeout = '50ms'")
        other.execute(KEY, ("2",))
        assert not migrating.done()
        customer.commit()
        migrating.result(timeout=60)
        assert other.execute(INDEX).fetchone() == (True, True)
