"""Balances: sums of postings. Most are summed by day already; what is not summed yet is added in the same statement.

The ledger of an account goes on from such a balance, posting by posting.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.money import Money
from services.payments.ledger.rules.balance import AsOf, Balance, Dimension
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.rules.earning import EARNED
from services.payments.ledger.rules.entry import Entry, Extract, Position
from services.payments.ledger.store.journals import posting_from_row
from services.payments.ledger.store.rows import DayRow, JournalRow, PostingRow, UnsummedRow

_days = DayRow.__table__
_journals = JournalRow.__table__
_postings = PostingRow.__table__
_unsummed = UnsummedRow.__table__
_is_debit = _postings.c.side == Side.DEBIT
_DEBITS = sa.case((_is_debit, _postings.c.amount), else_=0)
_CREDITS = sa.case((~_is_debit, _postings.c.amount), else_=0)
_IDS = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
_KEYS = (_journals.c.policy_id, _journals.c.currency, _postings.c.coverage_code, _postings.c.term_number)
_EARNED = (
    sa.select(*_KEYS, sa.func.sum(_CREDITS - _DEBITS).label("minor"))
    .join_from(_postings, _journals, _journals.c.id == _postings.c.journal_id)
    .where(_journals.c.policy_id == _IDS, _postings.c.account_code == EARNED)
    .group_by(*_KEYS)
)
_PLACE = (_journals.c.effective_on, _postings.c.journal_id, _postings.c.line)


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


def list_of_policy(session: Session, policy_id: UUID) -> list[Balance]:
    """The sums of every account of a policy."""
    return list_of_policies(session, [policy_id]).get(policy_id, [])


def list_of_policies(session: Session, policy_ids: Sequence[UUID]) -> dict[UUID, list[Balance]]:
    """The sums of every account of policies."""
    keys = (_journals.c.policy_id, _postings.c.account_code, _journals.c.currency)
    query = (
        sa.select(*keys, sa.literal("").label("part"))
        .add_columns(sa.func.sum(_DEBITS).label("debits"), sa.func.sum(_CREDITS).label("credits"))
        .join_from(_postings, _journals, _journals.c.id == _postings.c.journal_id)
        .where(_journals.c.policy_id == _IDS)
        .group_by(*keys)
    )
    balances: dict[UUID, list[Balance]] = {}
    for row in session.execute(query, {"ids": list(policy_ids)}):
        balances.setdefault(row.policy_id, []).append(balance_from_row(row))
    return balances


def list_earned(session: Session, policy_ids: Sequence[UUID]) -> dict[UUID, dict[tuple[str, int], Money]]:
    """What account 4000 shows of policies, by coverage and term."""
    earned: dict[UUID, dict[tuple[str, int], Money]] = {}
    for row in session.execute(_EARNED, {"ids": list(policy_ids)}):
        parts = earned.setdefault(row.policy_id, {})
        parts[row.coverage_code, row.term_number] = Money(int(row.minor), row.currency)
    return earned


def list_entries(
    session: Session, extract: Extract, after: Position | None, limit: int
) -> tuple[Money, Sequence[Entry]]:
    """The balance before the first posting behind `after`, and the postings from there on.

    One statement, so that what is entered meanwhile is in both or in neither.
    """
    opening = sa.select(_balance_before(extract, after).label("opening")).subquery()
    page = _page(extract, after).limit(limit).subquery()
    query = sa.select(opening, page).select_from(opening.outerjoin(page, sa.true()))
    rows = session.execute(query.order_by(page.c.effective_on, page.c.journal_id, page.c.line)).all()
    balance = Money(int(rows[0].opening), extract.currency)
    if CHART[extract.account_code].normal is Side.CREDIT:
        balance = -balance
    return balance, [entry_from_row(row) for row in rows if row.journal_id is not None]


def balance_from_row(row: Any) -> Balance:
    """The balance of the row of its sums."""
    debits, credits_ = (Money(int(sum_), row.currency) for sum_ in (row.debits, row.credits))
    return Balance(CHART[row.account_code], debits, credits_, row.part)


def entry_from_row(row: Any) -> Entry:
    """One posting with what its journal says of it."""
    position = Position(row.effective_on, row.journal_id, row.line)
    return Entry(position, row.rule, row.source_id, row.booked_at, posting_from_row(row))


def _sums(as_of: AsOf, dimension: Dimension | None = None) -> list[sa.Select[Any]]:
    """Selects that together count every posting once: of the sums by day, and of what is to be added to them.

    Of the day in which the booking moment lies, the journals are taken instead of the sums.
    """
    of_days = sa.select(
        _days.c.account_code, _days.c.currency, _days.c.part, _days.c.debits, _days.c.credits, _days.c.effective_on
    ).where(_days.c.dimension == (dimension or ""))
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


def _posted(dimension: Dimension | None) -> sa.Select[Any]:
    """Postings, one by one, in the form of sums."""
    part: sa.ColumnElement[Any] = sa.literal("")
    if dimension is not None:
        column = _journals.c.partner_id if dimension is Dimension.PARTNER else _postings.c[dimension]
        part = sa.func.coalesce(sa.cast(column, sa.Text), "")
    return sa.select(
        _postings.c.account_code,
        _journals.c.currency,
        part.label("part"),
        _DEBITS.label("debits"),
        _CREDITS.label("credits"),
        _journals.c.effective_on,
    ).join_from(_postings, _journals, _journals.c.id == _postings.c.journal_id)


def _page(extract: Extract, after: Position | None) -> sa.Select[Any]:
    query = _of_account(
        extract, *_postings.c, _journals.c.currency, _journals.c.effective_on, _journals.c.rule,
        _journals.c.source_id, _journals.c.booked_at,
    )  # fmt: skip
    if after is not None:
        place = (after.effective_on, after.journal_id, after.line)
        # The first condition follows from the second; it is what an index can be searched by.
        query = query.where(_journals.c.effective_on >= after.effective_on, sa.tuple_(*_PLACE) > sa.tuple_(*place))
    elif extract.first_day is not None:
        query = query.where(_journals.c.effective_on >= extract.first_day)
    if extract.last_day is not None:
        query = query.where(_journals.c.effective_on <= extract.last_day)
    return query.order_by(*_PLACE)


def _balance_before(extract: Extract, after: Position | None) -> sa.ColumnElement[Any]:
    """Debits less credits of what stands before a page: whole days, and the beginning of the day of its first one."""
    day = after.effective_on if after else extract.first_day
    if day is None or day == day.min:
        return sa.literal(0)
    whole_days = sa.union_all(*_sums(AsOf(day - timedelta(days=1), extract.booked_before))).subquery()
    selects = [
        sa.select(whole_days.c.debits, whole_days.c.credits).where(
            whole_days.c.account_code == extract.account_code, whole_days.c.currency == extract.currency
        )
    ]
    if after is not None:
        of_day = _of_account(extract, _DEBITS.label("debits"), _CREDITS.label("credits"))
        place = sa.tuple_(_postings.c.journal_id, _postings.c.line)
        selects.append(of_day.where(_journals.c.effective_on == day, place <= sa.tuple_(after.journal_id, after.line)))
    parts = sa.union_all(*selects).subquery()
    return sa.select(sa.func.coalesce(sa.func.sum(parts.c.debits - parts.c.credits), 0)).scalar_subquery()


def _of_account(extract: Extract, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    query = (
        sa.select(*columns)
        .join_from(_postings, _journals, _journals.c.id == _postings.c.journal_id)
        .where(_postings.c.account_code == extract.account_code, _journals.c.currency == extract.currency)
    )
    if extract.booked_before is not None:
        query = query.where(_journals.c.booked_at < extract.booked_before)
    return query
