"""Migrating the books of an earlier release, while programs of that release go on entering journals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

import services.payments
from libs.db import migrations
from tests.support.waiting import until

BEFORE = "0008"  # the last revision in which each journal has a policy, and postings nothing but their account
JOURNALS = 1200
FIRST = 101  # those of lower numbers have ids that come before
# As the program of before enters them, beginning with number %(first)s.
ENTER = """
    WITH entered AS (
        INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)
        SELECT lpad(to_hex(i), 32, '0')::uuid, 'invoice_issued', 'inv_' || i, gen_random_uuid(),
               (ARRAY['EUR', 'USD'])[i %% 2 + 1], '2026-01-01'::date + i %% 50,
               '2026-01-01T12:00Z'::timestamptz + i * interval '1 hour', 2
        FROM generate_series(%(first)s::integer, %(last)s) i RETURNING id, lines
    )
    INSERT INTO postings (journal_id, line, account_code, side, amount)
    SELECT id, line, code, side, 100 FROM entered,
         (VALUES (1, '1100', 'debit'), (2, '1105', 'credit')) _ (line, code, side)
"""


@pytest.fixture
def books(empty: str) -> str:
    """The URL of a database as the release before left it."""
    migrations.upgrade(empty, services.payments, BEFORE)
    enter(empty, FIRST, FIRST + JOURNALS - 1)
    return empty


def enter(url: str, first: int, last: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(ENTER.encode(), {"first": first, "last": last})


def test_programs_of_before_go_on_entering_journals(books: str) -> None:
    migrations.upgrade(books, services.payments)
    enter(books, 1, 5)
    with psycopg.connect(books) as connection:
        rows = connection.execute(
            "SELECT DISTINCT billing_account_id, claim_id, partner_id, written_on, trace_id, coverage_code, tax_code,"
            " term_number FROM journals JOIN postings ON journal_id = id"
        ).fetchall()
    assert rows == [(None, None, None, None, "", "", "", 0)]


WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SUMMED = """
    SELECT booked_on, effective_on, account_code, currency, sum(debits), sum(credits) FROM ledger_days
    WHERE dimension = '' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
ALL = "SELECT sum(debits) FROM ledger_days WHERE dimension = ''"
PLAIN = """
    SELECT (booked_at AT TIME ZONE 'UTC')::date, effective_on, account_code, currency,
           coalesce(sum(amount) FILTER (WHERE side = 'debit'), 0),
           coalesce(sum(amount) FILTER (WHERE side = 'credit'), 0)
    FROM journals JOIN postings ON journal_id = id
    WHERE id NOT IN (SELECT journal_id FROM unsummed_journals)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


# The step that comes to this day fails, as if its process died.
FAIL = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'dies'; END $$;
    CREATE TRIGGER fails BEFORE INSERT ON ledger_days
        FOR EACH ROW WHEN (NEW.booked_on = '2026-02-01') EXECUTE FUNCTION fail();
"""


def test_journals_of_before_are_summed_and_those_of_later_are_listed(
    books: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summing is broken off and begun anew; journals are entered in between, whose ids come before others."""
    run = migrations.run_in_batches
    monkeypatch.setattr(
        migrations, "run_in_batches", lambda statement, doing: run(statement.replace("LIMIT 5000", "LIMIT 100"), doing)
    )
    migrations.upgrade(books, services.payments, "0011")
    enter(books, 1, 5)
    with psycopg.connect(books, autocommit=True) as connection:
        connection.execute(FAIL)
        with pytest.raises(sa.exc.DBAPIError, match="dies"):
            migrations.upgrade(books, services.payments)
        assert connection.execute(ALL).fetchone() == (600 * 100,)
        enter(books, 6, 10)
        connection.execute("DROP TRIGGER fails ON ledger_days")
        migrations.upgrade(books, services.payments)
        assert connection.execute("SELECT count(*) FROM unsummed_journals").fetchone() == (10,)
        assert connection.execute(SUMMED).fetchall() == connection.execute(PLAIN).fetchall()
        assert connection.execute(ALL).fetchone() == (JOURNALS * 100,)


def test_journal_under_way_when_the_list_is_made_is_summed_once(books: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list waits for it: it counts as one of before."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "30s")
    migrations.upgrade(books, services.payments, "0010")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(books) as other:
        other.execute(ENTER.encode(), {"first": 1, "last": 4})
        migrating = pool.submit(migrations.upgrade, books, services.payments)
        with psycopg.connect(books, autocommit=True) as watching:
            until(lambda: watching.execute(WAITING).rowcount == 1, "the migration does not wait")
        other.commit()
        migrating.result(timeout=60)
    with psycopg.connect(books) as connection:
        assert connection.execute("SELECT count(*) FROM unsummed_journals").fetchone() == (0,)
        assert connection.execute(ALL).fetchone() == ((JOURNALS + 4) * 100,)
