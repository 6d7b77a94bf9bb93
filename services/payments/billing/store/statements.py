"""The debits and credits of an account, out of what was applied to it and what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.payments.billing.rules.account import Entry, EntryKind

# Of an account that was withdrawn by payments alone, no transaction says so.
_ENTRIES = sa.text("""
    SELECT kind, at, source_id, amount::bigint FROM (
        SELECT 'transaction' AS kind, applied_at AS at, transaction_id AS source_id, total AS amount
            FROM applied_transactions WHERE account_id = :account_id
        UNION ALL
        SELECT 'payment', min(at), payment_id, -sum(amount) FROM (
            SELECT allocated_at AS at, payment_id, amount FROM allocations
                JOIN invoices ON invoices.id = invoice_id AND policy_id = :account_id WHERE payment_id IS NOT NULL
            UNION ALL
            SELECT moved_at, payment_id, amount FROM credits
                WHERE account_id = :account_id AND payment_id IS NOT NULL
        ) AS paid GROUP BY payment_id
        UNION ALL
        SELECT 'refund', moved_at, refund_id, -amount FROM credits
            WHERE account_id = :account_id AND refund_id IS NOT NULL
        UNION ALL
        SELECT 'withdrawal', withdrawn_at, invoices.id, -(
            SELECT sum(total) FROM applied_transactions WHERE account_id = :account_id
        ) FROM billing_accounts AS account
            JOIN invoices ON policy_id = account.id AND status = 'void'
            WHERE account.id = :account_id AND withdrawn_at IS NOT NULL AND NOT EXISTS (
                SELECT FROM applied_transactions WHERE account_id = account.id AND kind = 'not_taken'
            )
    ) AS entries WHERE amount <> 0 ORDER BY at, source_id
""")


def list_entries(session: Session, account_id: UUID) -> Sequence[Entry]:
    """Every debit and credit of an account, oldest first."""
    rows = session.execute(_ENTRIES, {"account_id": account_id})
    return [Entry(EntryKind(row.kind), row.at, row.source_id, row.amount) for row in rows]
