"""Many policies in a payments database, made by the database itself: in payments, billed and booked, as if applied."""

from __future__ import annotations

from typing import Any

import psycopg

# Each has two coverages over 2025: 1000.00 and as many cents as its number, and 200.00; USD, issued in December.
_POLICIES = """
    WITH made AS (
        INSERT INTO billing_accounts (id, customer_id, payer_id, currency, time_zone, opened_at, last_sequence)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'USD', 'UTC', '2024-12-01', 1
        FROM generate_series(1, %(count)s) RETURNING id
    ), numbered AS MATERIALIZED (
        SELECT id, gen_random_uuid() AS transaction_id, 100000 + row_number() OVER (ORDER BY id) AS damage FROM made
    ), applied AS (
        INSERT INTO applied_transactions (transaction_id, account_id, sequence, kind, term_number, product_code,
            product_version, term_starts_on, term_ends_on, effective_on, issued_at, plan_code, total, applied_at)
        SELECT transaction_id, id, 1, 'new_business', 1, 'motor', 1, '2025-01-01', '2026-01-01', '2025-01-01',
            '2024-12-01', 'annual', damage + 20000, '2024-12-01'
        FROM numbered
    ), lines AS (
        SELECT transaction_id, number, coverage, CASE number WHEN 1 THEN damage ELSE 20000 END AS amount
        FROM numbered, (VALUES (1, 'own_damage'), (2, 'glass')) AS coverages (number, coverage)
    ), charged AS (
        INSERT INTO charge_lines (transaction_id, number, term_number, kind, coverage_code, starts_on, ends_on, amount,
            commissionable)
        SELECT transaction_id, number, 1, 'premium', coverage, '2025-01-01', '2026-01-01', amount, true FROM lines
    ), stretches AS (
        INSERT INTO timeline_lines (transaction_id, number, term_number, object_id, coverage_code, starts_on, ends_on,
            full_term_amount, term_days)
        SELECT transaction_id, number, 1, '', coverage, '2025-01-01', '2026-01-01', amount, 365 FROM lines
    ), booked AS (
        INSERT INTO journals (id, rule, source_id, policy_id, billing_account_id, currency, effective_on, booked_at,
            lines)
        SELECT transaction_id, 'policy_changed', transaction_id::text, id, id, 'USD', '2024-12-01', '2024-12-01', 3
        FROM numbered
    ), posted AS (
        INSERT INTO postings (journal_id, line, account_code, side, amount, coverage_code, term_number)
        SELECT transaction_id, 1, '1105', 'debit', damage + 20000, '', 0 FROM numbered
        UNION ALL SELECT transaction_id, number + 1, '2000', 'credit', amount, coverage, 1 FROM lines
    ), planned AS (
        INSERT INTO schedules (id, account_id, transaction_id, term_number)
        SELECT transaction_id, id, transaction_id, 1 FROM numbered
    ), parts AS (
        INSERT INTO schedule_installments (schedule_id, number, due_on, columns, total, state)
        SELECT transaction_id, 1, '2099-01-01', jsonb_build_object('premium:', damage + 20000), damage + 20000,
            'planned'
        FROM numbered
    )
    SELECT id FROM numbered ORDER BY id
"""


def write(connection: psycopg.Connection[Any], count: int) -> list[Any]:
    """Make policies; gives their ids in order. Written of the one at a position, from 1: 120000 and it, in cents."""
    return [row[0] for row in connection.execute(_POLICIES, {"count": count})]
