"""Totals stay what they were when a database of thousands of purchases, in every state, comes to today's revision."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.integration.migrations import checking, state

RELEASED = Path(__file__).with_name("states") / "payments-0008.sql"
COPIES = 300
"""Of each of the seven purchases that the file has, in every state that they could be in: 2,107 in all."""
MULTIPLY = f"""
    {checking.COPYING}

    INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)
        SELECT pg_temp.copy_of(id, n), rule, source_id || '-' || n, pg_temp.copy_of(policy_id, n), currency,
            effective_on, booked_at, lines
        FROM journals, generate_series(1, {COPIES}) n;
    INSERT INTO postings (journal_id, line, account_code, side, amount)
        SELECT pg_temp.copy_of(journal_id, n), line, account_code, side, amount * pg_temp.times(policy_id, n)
        FROM postings JOIN journals ON id = journal_id, generate_series(1, {COPIES}) n WHERE source_id NOT LIKE '%-%';
    INSERT INTO payments (id, invoice_id, user_id, amount, currency, status, provider, provider_reference, decline_code,
            action_url, created_at, completed_at, version)
        SELECT pg_temp.copy_of(id, n), pg_temp.copy_of(invoice_id, n), user_id, amount * pg_temp.times(policy_id, n),
            currency, status, provider, CASE provider_reference WHEN '' THEN '' ELSE provider_reference || '-' || n END,
            decline_code, action_url, created_at, completed_at, version
        FROM (SELECT payments.*, policy_id FROM payments JOIN invoices ON invoices.id = invoice_id) AS paid,
            generate_series(1, {COPIES}) n;
    INSERT INTO invoices (id, number, user_id, policy_id, installment_number, status, issued_at, paid_at, version)
        SELECT pg_temp.copy_of(id, n), number || '-' || n, user_id, pg_temp.copy_of(policy_id, n), installment_number,
            status, issued_at, paid_at, version
        FROM invoices, generate_series(1, {COPIES}) n;
    INSERT INTO unbilled_installments (policy_id, number, due_on)
        SELECT pg_temp.copy_of(policy_id, n), number, due_on
        FROM unbilled_installments, generate_series(1, {COPIES}) n;
    INSERT INTO installments (policy_id, number, due_on, net, tax, fees)
        SELECT pg_temp.copy_of(policy_id, n), number, due_on, net * pg_temp.times(policy_id, n),
            tax * pg_temp.times(policy_id, n), fees * pg_temp.times(policy_id, n)
        FROM installments, generate_series(1, {COPIES}) n;
    INSERT INTO billings (policy_id, user_id, transaction_id, plan_code, starts_on, issued_at, currency, net, tax, fees,
            payment_method, time_zone)
        SELECT pg_temp.copy_of(policy_id, n), user_id, pg_temp.copy_of(transaction_id, n), plan_code, starts_on,
            issued_at, currency, net * pg_temp.times(policy_id, n), tax * pg_temp.times(policy_id, n),
            fees * pg_temp.times(policy_id, n), payment_method, time_zone
        FROM billings, generate_series(1, {COPIES}) n;
"""
# What stands on each account, in each currency.
BOOKED = """
    SELECT account_code, currency, sum(CASE side WHEN 'debit' THEN amount ELSE -amount END)::bigint
    FROM postings JOIN journals ON id = journal_id GROUP BY 1, 2 ORDER BY 1, 2
"""


def test_thousands_of_purchases_in_every_state_come_to_the_same_totals(empty: str) -> None:
    checking.restore(RELEASED, empty)
    with psycopg.connect(empty) as connection:
        connection.execute(MULTIPLY.encode())
        before = state.tables(connection)
        booked = connection.execute(BOOKED).fetchall()
    assert before["billings"].rows.total() == 7 * (COPIES + 1) > 2000
    checking.upgrade("payments", empty)
    checking.check("payments", empty, before)
    with psycopg.connect(empty) as connection:
        assert connection.execute(BOOKED).fetchall() == booked != []
