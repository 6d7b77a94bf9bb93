"""Many policies in a payments database, made by the database itself: in payments, billed and booked, as if applied."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg

from services.payments.billing.rules.dunning import Action, Dunning, ProductTerms

STARTS_ON = date(2025, 1, 1)
_YEAR = timedelta(days=365)
_ISSUED_BEFORE = timedelta(days=31)

# Each has two coverages over a year: 1000.00 and as many cents as its number, and 200.00; USD, issued a month before.
_POLICIES = """
    WITH made AS (
        INSERT INTO billing_accounts (id, customer_id, payer_id, currency, time_zone, opened_at, last_sequence)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'USD', 'UTC', %(issued_on)s, 1
        FROM generate_series(1, %(count)s) RETURNING id
    ), numbered AS MATERIALIZED (
        SELECT id, gen_random_uuid() AS transaction_id, 100000 + row_number() OVER (ORDER BY id) AS damage FROM made
    ), applied AS (
        INSERT INTO applied_transactions (transaction_id, account_id, sequence, kind, term_number, product_code,
            product_version, term_starts_on, term_ends_on, effective_on, issued_at, plan_code, total, applied_at)
        SELECT transaction_id, id, 1, 'new_business', 1, 'motor', 1, %(starts_on)s, %(ends_on)s, %(starts_on)s,
            %(issued_on)s, 'annual', damage + 20000, %(issued_on)s
        FROM numbered
    ), lines AS (
        SELECT transaction_id, number, coverage, CASE number WHEN 1 THEN damage ELSE 20000 END AS amount
        FROM numbered, (VALUES (1, 'own_damage'), (2, 'glass')) AS coverages (number, coverage)
    ), charged AS (
        INSERT INTO charge_lines (transaction_id, number, term_number, kind, coverage_code, starts_on, ends_on, amount,
            commissionable)
        SELECT transaction_id, number, 1, 'premium', coverage, %(starts_on)s, %(ends_on)s, amount, true FROM lines
    ), stretches AS (
        INSERT INTO timeline_lines (transaction_id, number, term_number, object_id, coverage_code, starts_on, ends_on,
            full_term_amount, term_days)
        SELECT transaction_id, number, 1, '', coverage, %(starts_on)s, %(ends_on)s, amount, 365 FROM lines
    ), booked AS (
        INSERT INTO journals (id, rule, source_id, policy_id, billing_account_id, currency, effective_on, booked_at,
            lines)
        SELECT transaction_id, 'policy_changed', transaction_id::text, id, id, 'USD', %(issued_on)s, %(issued_on)s, 3
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


def write(connection: psycopg.Connection[Any], count: int, starts_on: date = STARTS_ON) -> list[Any]:
    """Make policies; gives their ids in order. Written of the one at a position, from 1: 120000 and it, in cents."""
    days = {"starts_on": starts_on, "ends_on": starts_on + _YEAR, "issued_on": starts_on - _ISSUED_BEFORE}
    return [row[0] for row in connection.execute(_POLICIES, {"count": count, **days})]


TERMS = ProductTerms(
    "motor", 1, Dunning.of(30, [(0, Action.RETRY), (3, Action.REMIND), (10, Action.RETRY), (30, Action.LAPSE)])
)
"""What the product of these policies says of premium that is not paid."""

# As if the one installment had been billed, for a day that is over; what it is booked to follows.
_UNPAID = """
    WITH chosen AS (
        SELECT account.id, customer_id, total, transaction_id, row_number() OVER (ORDER BY account.id) AS number
        FROM billing_accounts AS account JOIN applied_transactions ON account_id = account.id
    ), unpaid AS (
        SELECT *, gen_random_uuid() AS invoice_id, gen_random_uuid() AS journal_id FROM chosen
        WHERE number %% %(every)s = 0
    ), billed AS (
        UPDATE schedule_installments SET state = 'invoiced'
        FROM unpaid WHERE schedule_id = transaction_id
    ), invoiced AS (
        INSERT INTO invoices (id, number, user_id, policy_id, term_number, installment_number, due_on, currency, total,
            settled, status, issued_at, time_zone)
        SELECT invoice_id, 'UNPAID-' || number, customer_id, id, 1, 1, current_date - 5, 'USD', total, 0, 'open',
            now(), 'UTC'
        FROM unpaid
    ), itemized AS (
        INSERT INTO invoice_items (invoice_id, kind, charge_code, amount)
        SELECT invoice_id, 'premium', '', total FROM unpaid
    ), booked AS (
        INSERT INTO journals (id, rule, source_id, policy_id, billing_account_id, currency, effective_on, booked_at,
            lines)
        SELECT journal_id, 'invoice_issued', invoice_id::text, id, id, 'USD', current_date, now(), 2 FROM unpaid
    )
    INSERT INTO postings (journal_id, line, account_code, side, amount, coverage_code, term_number)
    SELECT journal_id, 1, '1100', 'debit', total, '', 0 FROM unpaid
    UNION ALL SELECT journal_id, 2, '1105', 'credit', total, '', 0 FROM unpaid
"""


def leave_unpaid(connection: psycopg.Connection[Any], every: int) -> None:
    """Have one of so many policies billed, and five days past due."""
    connection.execute(_UNPAID, {"every": every})
