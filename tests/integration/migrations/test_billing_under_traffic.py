"""Migrating a database that has policies of an earlier release, while calls go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import services.payments
from libs.db import migrations

BEFORE = "0003"  # the last revision without the list
LISTING = "0008"  # the release that brought it
POLICIES = 1200  # more than are listed in one step
# Three installments each. Of the first policy nothing is paid, and of the second two are billed.
BOOKS = f"""
    INSERT INTO billings (policy_id, user_id, transaction_id, plan_code, starts_on, issued_at, currency, net, tax, fees)
        SELECT lpad(to_hex(i), 32, '0')::uuid, gen_random_uuid(), gen_random_uuid(), 'home', '2026-01-01', now(),
               'EUR', 300, 0, 0
        FROM generate_series(1, {POLICIES}) i;
    INSERT INTO installments (policy_id, number, due_on, net, tax, fees)
        SELECT policy_id, number, '2026-01-01'::date + 30 * number, 100, 0, 0
        FROM billings, generate_series(1, 3) number;
    INSERT INTO invoices (id, number, user_id, policy_id, installment_number, status, issued_at, paid_at)
        SELECT gen_random_uuid(), policy_id || '-1', user_id, policy_id, 1, 'paid', now(), now() FROM billings;
    UPDATE invoices SET status = 'open', paid_at = NULL WHERE policy_id = lpad('1', 32, '0')::uuid;
    INSERT INTO invoices (id, number, user_id, policy_id, installment_number, status, issued_at)
        SELECT gen_random_uuid(), policy_id || '-2', user_id, policy_id, 2, 'open', now() FROM billings
        WHERE policy_id = lpad('2', 32, '0')::uuid;
    ANALYZE;
"""
READ = "SELECT count(*) FROM invoices JOIN billings USING (policy_id)"
PAY = "UPDATE invoices SET status = 'paid', paid_at = now() WHERE policy_id = lpad('1', 32, '0')::uuid"
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LISTED = "SELECT policy_id, number FROM unbilled_installments ORDER BY policy_id, number"


@pytest.fixture
def books(empty: str) -> str:
    """The URL of a database as the release before left it."""
    migrations.upgrade(empty, services.payments, BEFORE)
    with psycopg.connect(empty) as connection:
        connection.execute(BOOKS.encode())
    return empty


def test_installments_of_policies_already_in_force_are_listed(books: str) -> None:
    migrations.upgrade(books, services.payments, LISTING)
    with psycopg.connect(books) as connection:
        listed = {(policy.int, number) for policy, number in connection.execute(LISTED)}
    assert listed == {(2, 3)} | {(policy, number) for policy in range(3, POLICIES + 1) for number in (2, 3)}


def test_invoices_are_read_and_paid_while_installments_are_listed(books: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing is held up in its last step by another who lists the same installment."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "30s")
    migrations.upgrade(books, services.payments, "0006")
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(books) as other,
        psycopg.connect(books, autocommit=True) as customer,
    ):
        other.execute(
            "INSERT INTO unbilled_installments SELECT policy_id, number, due_on FROM installments"
            " ORDER BY policy_id DESC, number DESC LIMIT 1"
        )
        migrating = pool.submit(migrations.upgrade, books, services.payments, LISTING)
        until = time.monotonic() + 30
        while customer.execute(WAITING).rowcount != 1:
            assert time.monotonic() < until
            time.sleep(0.01)
        customer.execute("SET lock_timeout = '100ms'")
        assert customer.execute(READ).fetchone() == (POLICIES + 1,)
        customer.execute(PAY)
        assert customer.execute("SELECT count(*) > 1000 FROM unbilled_installments").fetchone() == (True,)
        assert not migrating.done()
        other.rollback()
        migrating.result(timeout=60)
        assert len(customer.execute(LISTED).fetchall()) == 2 * POLICIES - 1


def test_reader_who_takes_long_keeps_only_the_column_from_being_added(
    books: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(migrations, "_PAUSE", 0.05)
    with psycopg.connect(books) as reader:
        reader.execute(READ)
        with pytest.raises(migrations.TablesInUse):
            migrations.upgrade(books, services.payments, LISTING)
        reader.commit()
        migrations.upgrade(books, services.payments, "0004")
        reader.execute(READ)
        migrations.upgrade(books, services.payments, LISTING)
        assert len(reader.execute(LISTED).fetchall()) == 2 * POLICIES - 3
