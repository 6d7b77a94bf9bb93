"""Balances: sums of postings."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from services.payments.ledger.rules.balance import Balance
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.store.rows import JournalRow, PostingRow


def list_all(session: Session, as_of: date | None) -> tuple[list[Balance], date | None]:
    """The sums of every account and currency, by their codes, and the last effective day that is in them."""
    debit = PostingRow.side == Side.DEBIT
    query = (
        sa.select(
            PostingRow.account_code,
            JournalRow.currency,
            sa.func.coalesce(sa.func.sum(PostingRow.amount).filter(debit), 0).label("debits"),
            sa.func.coalesce(sa.func.sum(PostingRow.amount).filter(~debit), 0).label("credits"),
            sa.func.max(JournalRow.effective_on).label("last_day"),
        )
        .join(JournalRow, JournalRow.id == PostingRow.journal_id)
        .group_by(PostingRow.account_code, JournalRow.currency)
        .order_by(PostingRow.account_code, JournalRow.currency)
    )
    if as_of is not None:
        query = query.where(JournalRow.effective_on <= as_of)
    rows = session.execute(query).all()
    balances = [
        Balance(CHART[row.account_code], Money(int(row.debits), row.currency), Money(int(row.credits), row.currency))
        for row in rows
    ]
    return balances, max((row.last_day for row in rows), default=None)
