"""What an account comes to: its lines, installments, invoices, allocations and credits, each summed by itself."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.payments.billing.rules import earning
from services.payments.billing.store import earnings
from services.payments.ledger.rules.proof import Billed, Item

# The price of a policy whose first invoice was withdrawn is no longer charged, whatever its lines say.
_TOTALS = sa.text("""
    SELECT account.currency, charged.*,
        (SELECT coalesce(sum(total), 0) FROM schedule_installments JOIN schedules ON schedules.id = schedule_id
         WHERE account_id = account.id AND state = 'planned') AS unbilled,
        (SELECT coalesce(sum(total - settled), 0) FROM invoices
         WHERE policy_id = account.id AND status IN ('open', 'partially_paid')) AS open,
        (SELECT coalesce(sum(amount), 0) FROM allocations JOIN invoices ON invoices.id = invoice_id
         WHERE policy_id = account.id AND payment_id IS NOT NULL)
        + (SELECT coalesce(sum(amount), 0) FROM credits
           WHERE account_id = account.id AND payment_id IS NOT NULL)
        - (SELECT coalesce(sum(part.amount), 0) FROM refund_parts AS part JOIN refunds ON refunds.id = refund_id
           WHERE account_id = account.id AND part.status = 'succeeded') AS paid,
        (SELECT coalesce(sum(-amount), 0) FROM credits WHERE account_id = account.id AND refund_id IS NOT NULL)
        - (SELECT coalesce(sum(part.amount), 0) FROM refund_parts AS part JOIN refunds ON refunds.id = refund_id
           WHERE account_id = account.id AND part.status = 'succeeded') AS refunds,
        (SELECT coalesce(sum(amount), 0) FROM credits WHERE account_id = account.id) AS credit
    FROM billing_accounts AS account, LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE line.kind = 'premium'), 0) AS premium,
            coalesce(sum(amount) FILTER (WHERE line.kind = 'retention'), 0) AS retention,
            coalesce(sum(amount) FILTER (WHERE line.kind = 'tax'), 0) AS tax,
            coalesce(sum(amount) FILTER (WHERE line.kind = 'fee'), 0) AS fees
        FROM applied_transactions JOIN charge_lines AS line USING (transaction_id)
        WHERE account_id = account.id AND account.withdrawn_at IS NULL
    ) AS charged
    WHERE account.id = :account_id
""")


def find(session: Session, account_id: UUID) -> Billed | None:
    """The sums of an account; None where there is none."""
    row = session.execute(_TOTALS, {"account_id": account_id}).one_or_none()
    if row is None:
        return None
    earned = _earned(session, account_id)
    amounts: dict[Item, int] = {
        item: int(getattr(row, item)) for item in Item if item not in (Item.EARNED, Item.UNEARNED)
    }
    return Billed(row.currency, {**amounts, Item.EARNED: earned, Item.UNEARNED: amounts[Item.PREMIUM] - earned})


def _earned(session: Session, account_id: UUID) -> int:
    """What is earned of a policy by the day that it was earned up to, by its timeline of then; in minor units."""
    known = earnings.find_as_earned(session, account_id)
    if known is None or known.until is None:
        return 0
    return sum(amount.minor for amount in earning.earned_by(known.policy, known.until).values())
