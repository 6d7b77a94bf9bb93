"""Sums of postings by day: what makes balances quick, however many postings there are.

Each journal is in exactly one place: on the list of those that are not summed, or in the sums. It is taken off the list
in the statement that adds it to the sums, so that whoever reads both in one statement counts every journal once,
whenever it was entered and committed, and wherever a job died.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

_ADD = sa.text("""
    WITH picked AS MATERIALIZED (
        SELECT journal_id FROM unsummed_journals ORDER BY journal_id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM unsummed_journals USING picked WHERE unsummed_journals.journal_id = picked.journal_id
        RETURNING unsummed_journals.journal_id
    ), summed AS (
        INSERT INTO ledger_days AS day (
            dimension, booked_on, effective_on, account_code, currency, part, debits, credits
        )
        SELECT
            dimension, (booked_at AT TIME ZONE 'UTC')::date, effective_on, account_code, currency, part,
            coalesce(sum(amount) FILTER (WHERE side = 'debit'), 0),
            coalesce(sum(amount) FILTER (WHERE side = 'credit'), 0)
        FROM taken JOIN journals ON id = taken.journal_id JOIN postings ON postings.journal_id = id
        CROSS JOIN LATERAL (VALUES
            ('', ''), ('coverage_code', coverage_code), ('tax_code', tax_code),
            ('partner_id', coalesce(partner_id::text, ''))
        ) parts (dimension, part)
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT ON CONSTRAINT ledger_days_unique DO UPDATE
            SET debits = day.debits + excluded.debits, credits = day.credits + excluded.credits
    )
    SELECT count(*) FROM picked
""")


def add_unsummed(session: Session, limit: int) -> int:
    """Add some of the journals that are not summed yet to the sums; returns how many. Leaves out those that another
    transaction is adding.
    """
    count: int = session.execute(_ADD, {"limit": limit}).scalar_one()
    return count
