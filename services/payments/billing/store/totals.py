"""What an account comes to: its lines, installments, invoices, allocations and credits, each summed by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.errors import DomainError
from services.payments.billing.rules import earning
from services.payments.billing.store import earnings
from services.payments.billing.store.earnings import Earned
from services.payments.ledger.rules.proof import Billed, Item

# The price of a policy whose first invoice was withdrawn is no longer charged, whatever its lines say.
_TOTALS = sa.text("""
    SELECT account.id, account.currency, charged.*,
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
    WHERE account.id = ANY(:account_ids)
""")


def find(session: Session, account_id: UUID) -> Billed | None:
    """The sums of an account; None where there is none."""
    match find_all(session, [account_id]).get(account_id):
        case DomainError() as error:
            raise error
        case billed:
            return billed


def find_all(session: Session, account_ids: Sequence[UUID]) -> dict[UUID, Billed | DomainError]:
    """The sums of accounts, or why there are none of one. Those that do not exist are left out."""
    rows = session.execute(_TOTALS, {"account_ids": list(account_ids)}).all()
    known = earnings.find_as_earned(session, [row.id for row in rows])
    billed: dict[UUID, Billed | DomainError] = {}
    for row in rows:
        try:
            billed[row.id] = _billed_from_row(row, _earned(known.get(row.id)))
        except DomainError as error:
            billed[row.id] = error
    return billed


def _billed_from_row(row: Any, earned: int) -> Billed:
    amounts: dict[Item, int] = {
        item: int(getattr(row, item)) for item in Item if item not in (Item.EARNED, Item.UNEARNED)
    }
    return Billed(row.currency, {**amounts, Item.EARNED: earned, Item.UNEARNED: amounts[Item.PREMIUM] - earned})


def _earned(known: Earned | None) -> int:
    """What is earned of a policy by the day that it was earned up to, by its timeline of then; in minor units."""
    if known is None or known.until is None:
        return 0
    return sum(amount.minor for amount in earning.earned_by(known.policy, known.until).values())
