"""Thousands of policies of the first release, in every state, cost the same in all when their timelines are written."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.integration.migrations import checking, conftest
from tests.integration.migrations.test_timelines import QuotesOfBefore, writing_timelines

make_empty, empty = conftest.make_empty, conftest.empty
RELEASED = Path(__file__).parents[1] / "integration" / "migrations" / "states" / "policies-0006.sql"
COPIES = 222
"""Of each of the nine policies that the file has: 2,007 in all."""
MULTIPLY = f"""
    {checking.COPYING}

    INSERT INTO segments (policy_id, term_number, number, transaction_id, starts_on, ends_on, currency, net, tax, fees,
            coverages)
        SELECT pg_temp.copy_of(policy_id, n), term_number, number, pg_temp.copy_of(transaction_id, n), starts_on,
            ends_on, currency, net * pg_temp.times(policy_id, n), tax * pg_temp.times(policy_id, n),
            fees * pg_temp.times(policy_id, n), coverages
        FROM segments, generate_series(1, {COPIES}) n;
    INSERT INTO terms (policy_id, number, transaction_id, starts_on, ends_on)
        SELECT pg_temp.copy_of(policy_id, n), number, pg_temp.copy_of(transaction_id, n), starts_on, ends_on
        FROM terms, generate_series(1, {COPIES}) n;
    INSERT INTO policy_transactions (id, policy_id, sequence, type, effective_on, issued_at, premium_change, currency,
            source_id)
        SELECT pg_temp.copy_of(id, n), pg_temp.copy_of(policy_id, n), sequence, type, effective_on, issued_at,
            premium_change * pg_temp.times(policy_id, n), currency,
            CASE type WHEN 'new_business' THEN pg_temp.copy_of(source_id::uuid, n)::text ELSE source_id || '-' || n END
        FROM policy_transactions, generate_series(1, {COPIES}) n;
    INSERT INTO policies (id, number, user_id, quote_id, product_code, product_version, plan_code, time_zone, issued_at,
            activated_at, version)
        SELECT pg_temp.copy_of(id, n), number || '-' || n, user_id, pg_temp.copy_of(quote_id, n), product_code,
            product_version, plan_code, time_zone, issued_at, activated_at, version
        FROM policies, generate_series(1, {COPIES}) n;
"""
BEFORE = """
    SELECT currency, count(*), sum(net)::bigint, (sum(tax) + sum(fees))::bigint FROM segments GROUP BY 1 ORDER BY 1
"""
AFTER = """
    SELECT currency, count(*),
        sum((SELECT sum((line ->> 2)::bigint) FROM jsonb_array_elements(part.lines) AS line))::bigint,
        sum((SELECT sum((charge ->> 4)::bigint) FROM jsonb_array_elements(newest.charges) AS charge))::bigint
    FROM (SELECT DISTINCT ON (policy_id) * FROM timelines ORDER BY policy_id, sequence DESC) AS newest
    JOIN timeline_segments AS part ON part.transaction_id = segments_of GROUP BY 1 ORDER BY 1
"""


@pytest.mark.timeout(900)  # a statement or more for each of them
def test_thousands_of_policies_cost_the_same_in_all_with_their_timelines(empty: str) -> None:
    checking.restore(RELEASED, empty)
    with psycopg.connect(empty) as connection:
        connection.execute(MULTIPLY.encode())
        before = connection.execute(BEFORE).fetchall()
    assert sum(row[1] for row in before) == 9 * (COPIES + 1)
    checking.upgrade("policies", empty)
    with writing_timelines(empty, QuotesOfBefore(empty)) as handlers:
        handlers.write_timelines()
    with psycopg.connect(empty) as connection:
        assert connection.execute(AFTER).fetchall() == before
