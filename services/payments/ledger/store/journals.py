"""The books: journals are added, never changed, and balances are sums of their postings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from libs import ids
from libs.money import Money
from services.payments.ledger.rules.chart import CHART, Side
from services.payments.ledger.rules.journal import Balance, Booked, Journal, Posting


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), int: sa.BigInteger}  # noqa: RUF012


class JournalRow(Row):
    """One event in the books; append-only. The database refuses at commit what does not balance."""

    __tablename__ = "journals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str]
    source_id: Mapped[str]
    policy_id: Mapped[UUID]
    currency: Mapped[str]
    effective_on: Mapped[date]
    booked_at: Mapped[datetime]
    lines: Mapped[int]


class PostingRow(Row):
    """One side of a journal; append-only."""

    __tablename__ = "postings"

    journal_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    account_code: Mapped[str]
    side: Mapped[str]
    amount: Mapped[int]


_journals = JournalRow.__table__
_WITH_POSTINGS = sa.select(
    *_journals.c, PostingRow.line, PostingRow.account_code, PostingRow.side, PostingRow.amount
).join(PostingRow, PostingRow.journal_id == _journals.c.id)


_ADD = insert(_journals).on_conflict_do_nothing(constraint="journals_source_unique").returning(_journals.c.id)
_ADD_POSTINGS = sa.insert(PostingRow.__table__)


def find_by_source(session: Session, rule: str, source_id: str) -> Journal | None:
    """The journal that a rule made of an event."""
    query = _WITH_POSTINGS.where(_journals.c.rule == rule, _journals.c.source_id == source_id)
    booked = _booked(session.execute(query.order_by(PostingRow.line)).all())
    return booked[0].journal if booked else None


def add(session: Session, journal: Journal, now: datetime) -> bool:
    """Save a new journal; False, saving nothing, when the rule has made one of the event before.

    Waits for another transaction that is saving one of the same event.
    """
    journal_id = ids.new()
    row = {"id": journal_id, "booked_at": now, **row_from_journal(journal)}
    if session.execute(_ADD, row).one_or_none() is None:
        return False
    lines = enumerate(journal.postings, 1)
    session.execute(
        _ADD_POSTINGS,
        [{"journal_id": journal_id, "line": line, **row_from_posting(posting)} for line, posting in lines],
    )
    return True


def row_from_journal(journal: Journal) -> dict[str, Any]:
    """What the row of a journal says of it alone."""
    return {
        "rule": journal.rule,
        "source_id": journal.source_id,
        "policy_id": journal.policy_id,
        "currency": journal.currency,
        "effective_on": journal.effective_on,
        "lines": len(journal.postings),
    }


def row_from_posting(posting: Posting) -> dict[str, Any]:
    """What the row of a posting says of it alone."""
    return {"account_code": posting.account, "side": posting.side, "amount": posting.amount.minor}


def list_all(session: Session, policy_id: UUID | None, after: UUID | None, limit: int) -> Sequence[Booked]:
    """Journals, which are nobody's: newest first, behind the one whose id is `after`."""
    shown = sa.select(_journals.c.id).order_by(_journals.c.id.desc()).limit(limit)
    if policy_id is not None:
        shown = shown.where(_journals.c.policy_id == policy_id)
    if after is not None:
        shown = shown.where(_journals.c.id < after)
    query = _WITH_POSTINGS.where(_journals.c.id.in_(shown)).order_by(_journals.c.id.desc(), PostingRow.line)
    return _booked(session.execute(query).all())


def list_balances(session: Session, as_of: date | None) -> tuple[list[Balance], date | None]:
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


def _booked(rows: Sequence[Any]) -> list[Booked]:
    """Journals of their rows, one a posting, in the order of the rows."""
    booked = []
    for journal_id, group in groupby(rows, key=lambda row: row.id):
        lines = list(group)
        first = lines[0]
        postings = tuple(Posting(row.account_code, Side(row.side), Money(row.amount, first.currency)) for row in lines)
        journal = Journal(first.rule, first.source_id, first.policy_id, first.effective_on, postings)
        booked.append(Booked(journal_id, first.booked_at, journal))
    return booked
