"""Summing the journals that were entered before there were sums."""

from libs.db import migrations

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Sum them in steps. Each notes with its sums how far it came, so that none is summed twice."""
    migrations.run_in_batches(_SUM, "summing the journals of before")


_SUM = """
    WITH progress AS (
        SELECT journal_id FROM ledger_days_progress FOR UPDATE
    ), batch AS MATERIALIZED (
        SELECT id, booked_at, effective_on, currency, partner_id FROM journals
        WHERE NOT listed AND id > (SELECT journal_id FROM progress) ORDER BY id LIMIT 5000
    ), moved AS (
        UPDATE ledger_days_progress SET journal_id = last.id FROM (SELECT id FROM batch ORDER BY id DESC LIMIT 1) last
    ), summed AS (
        INSERT INTO ledger_days AS day (
            dimension, booked_on, effective_on, account_code, currency, part, debits, credits
        )
        SELECT
            dimension, (booked_at AT TIME ZONE 'UTC')::date, effective_on, account_code, currency, part,
            coalesce(sum(amount) FILTER (WHERE side = 'debit'), 0),
            coalesce(sum(amount) FILTER (WHERE side = 'credit'), 0)
        FROM batch JOIN postings ON journal_id = id
        CROSS JOIN LATERAL (VALUES
            ('', ''), ('coverage_code', coverage_code), ('tax_code', tax_code),
            ('partner_id', coalesce(partner_id::text, ''))
        ) parts (dimension, part)
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT ON CONSTRAINT ledger_days_unique DO UPDATE
            SET debits = day.debits + excluded.debits, credits = day.credits + excluded.credits
    )
    SELECT count(*) FROM batch
"""
