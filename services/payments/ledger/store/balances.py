"""Balances: sums of postings. Most of them are summed by day already; what is not is added in the same statement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from services.payments.ledger.rules.balance import AsOf, Balance, Dimension
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.store.rows import DayRow, JournalRow, PostingRow, UnsummedRow

_days = DayRow.__table__
_journals = JournalRow.__table__
_postings = PostingRow.__table__
_unsummed = UnsummedRow.__table__
_is_debit = _postings.c.side == Side.DEBIT


def list_all(session: Session, as_of: AsOf, dimension: Dimension | None = None) -> tuple[list[Balance], date | None]:
    """The sums of every account and currency, by their codes, and the last effective day that is in them.

    With a dimension, the sums of every part of an account, in the order of its codes.
    """
    parts = sa.union_all(*_sums(as_of, dimension)).subquery()
    keys = (parts.c.account_code, parts.c.currency, parts.c.part)
    query = (
        sa.select(
            *keys,
            sa.func.sum(parts.c.debits).label("debits"),
            sa.func.sum(parts.c.credits).label("credits"),
            sa.func.max(parts.c.effective_on).label("last_day"),
        )
        .group_by(*keys)
        .order_by(*keys)
    )
    rows = session.execute(query).all()
    return [balance_from_row(row) for row in rows], max((row.last_day for row in rows), default=None)


def _sums(as_of: AsOf, dimension: Dimension | None = None) -> list[sa.Select[Any]]:
    """Selects that together count every posting once: of the sums by day, and of what is to be added to them.

    Of the day in which the booking moment lies, the journals are taken instead of the sums.
    """
    of_days = _summed(_days, _days.c.debits, _days.c.credits, dimension)
    of_tail = _posted(dimension).join(_unsummed, _unsummed.c.journal_id == _journals.c.id)
    selects = [of_days, of_tail]
    if as_of.booked_before is not None:
        day = as_of.booked_before.astimezone(UTC).date()
        midnight = datetime.combine(day, time.min, UTC)
        of_day = _posted(dimension).where(
            _journals.c.booked_at >= midnight, _journals.c.booked_at < as_of.booked_before
        )
        selects = [
            of_days.where(_days.c.booked_on < day), of_tail.where(_journals.c.booked_at < midnight), of_day
        ]  # fmt: skip
    if as_of.last_day is not None:
        selects = [select.where(select.selected_columns.effective_on <= as_of.last_day) for select in selects]
    return selects


def balance_from_row(row: Any) -> Balance:
    """The balance of the row of its sums."""
    debits, credits_ = (Money(int(sum_), row.currency) for sum_ in (row.debits, row.credits))
    return Balance(CHART[row.account_code], debits, credits_, row.part or "")


def _posted(dimension: Dimension | None) -> sa.Select[Any]:
    """Postings, one by one, in the form of sums."""
    amount = _postings.c.amount
    debits, credits_ = (sa.case((side, amount), else_=0) for side in (_is_debit, ~_is_debit))
    return _summed(_postings, debits, credits_, dimension).join(_journals, _journals.c.id == _postings.c.journal_id)


def _summed(
    table: sa.FromClause, debits: sa.ColumnElement[Any], credits_: sa.ColumnElement[Any], dimension: Dimension | None
) -> sa.Select[Any]:
    journals = table if table is _days else _journals
    part: sa.ColumnElement[Any] = sa.literal("")
    if dimension is not None:
        column = journals.c.partner_id if dimension is Dimension.PARTNER else table.c[dimension]
        part = sa.func.coalesce(sa.cast(column, sa.Text), "")
    return sa.select(
        table.c.account_code,
        journals.c.currency,
        part.label("part"),
        debits.label("debits"),
        credits_.label("credits"),
        journals.c.effective_on,
    )
