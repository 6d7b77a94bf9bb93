"""Migrating the books of an earlier release, while programs of that release go on entering journals."""

from __future__ import annotations

import psycopg
import pytest

import services.payments
from libs.db import migrations

BEFORE = "0008"  # the last revision in which each journal has a policy, and postings nothing but their account
JOURNALS = 1200
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
    enter(empty, 1, JOURNALS)
    return empty


def enter(url: str, first: int, last: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(ENTER.encode(), {"first": first, "last": last})


def test_programs_of_before_go_on_entering_journals(books: str) -> None:
    migrations.upgrade(books, services.payments)
    enter(books, JOURNALS + 1, JOURNALS + 5)
    with psycopg.connect(books) as connection:
        rows = connection.execute(
            "SELECT DISTINCT billing_account_id, claim_id, partner_id, written_on, trace_id, coverage_code, tax_code,"
            " term_number FROM journals JOIN postings ON journal_id = id"
        ).fetchall()
    assert rows == [(None, None, None, None, "", "", "", 0)]
