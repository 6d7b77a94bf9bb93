"""The books: journals are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs import ids
from libs.db import bulk
from libs.money import Money
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Booked, Filter, Journal, Posting, Subject
from services.payments.ledger.store.rows import JournalRow, PostingRow

_journals = JournalRow.__table__
_postings = PostingRow.__table__
_WITH_POSTINGS = sa.select(*_journals.c, *(column for column in _postings.c if column.name != "journal_id")).join(
    _postings, _postings.c.journal_id == _journals.c.id
)
_ADD = insert(_journals).on_conflict_do_nothing(constraint="journals_source_unique").returning(_journals.c.id)
_ADD_NEW = bulk.adding(_journals, _journals.c.keys())
_ADD_POSTINGS = bulk.adding(_postings, _postings.c.keys())


def find_by_source(session: Session, rule: str, source_id: str) -> Journal | None:
    """The journal that a rule made of an event."""
    query = _WITH_POSTINGS.where(_journals.c.rule == rule, _journals.c.source_id == source_id)
    booked = _booked(session.execute(query.order_by(_postings.c.line)).all())
    return booked[0].journal if booked else None


def add(session: Session, journal: Journal, now: datetime, trace_id: str) -> bool:
    """Save a new journal; False, saving nothing, when the rule has made one of the event before.

    Waits for another transaction that is saving one of the same event.
    """
    journal_id = ids.new()
    row = {"id": journal_id, "booked_at": now, "trace_id": trace_id, **row_from_journal(journal)}
    if session.execute(_ADD, row).one_or_none() is None:
        return False
    session.execute(_ADD_POSTINGS, bulk.columns(_posting_rows(journal_id, journal)))
    return True


def add_new(session: Session, entries: Sequence[Journal], now: datetime, trace_id: str) -> None:
    """Save new journals. The constraint `journals_source_unique` refuses one of an event that has one."""
    if not entries:
        return
    rows = [{"id": ids.new(), "booked_at": now, "trace_id": trace_id, **row_from_journal(item)} for item in entries]
    session.execute(_ADD_NEW, bulk.columns(rows))
    postings = [posting for row, item in zip(rows, entries, strict=True) for posting in _posting_rows(row["id"], item)]
    session.execute(_ADD_POSTINGS, bulk.columns(postings))


def list_all(session: Session, criteria: Filter, after: UUID | None, limit: int) -> Sequence[Booked]:
    """Journals, which are nobody's: newest first, behind the one whose id is `after`."""
    shown = sa.select(_journals.c.id).order_by(_journals.c.id.desc()).limit(limit)
    for column in ("policy_id", "billing_account_id", "claim_id", "partner_id", "rule", "source_id", "trace_id"):
        if value := getattr(criteria, column):
            shown = shown.where(_journals.c[column] == value)
    if criteria.account_code:
        of_account = sa.select(_postings.c.journal_id).where(_postings.c.account_code == criteria.account_code)
        shown = shown.where(_journals.c.id.in_(of_account))
    if criteria.booked_from is not None:
        shown = shown.where(_journals.c.booked_at >= criteria.booked_from)
    if criteria.booked_before is not None:
        shown = shown.where(_journals.c.booked_at < criteria.booked_before)
    if after is not None:
        shown = shown.where(_journals.c.id < after)
    query = _WITH_POSTINGS.where(_journals.c.id.in_(shown)).order_by(_journals.c.id.desc(), _postings.c.line)
    return _booked(session.execute(query).all())


def row_from_journal(journal: Journal) -> dict[str, Any]:
    """What the row of a journal says of it alone."""
    return {
        "rule": journal.rule,
        "source_id": journal.source_id,
        "policy_id": journal.subject.policy_id,
        "billing_account_id": journal.subject.billing_account_id,
        "claim_id": journal.subject.claim_id,
        "partner_id": journal.subject.partner_id,
        "currency": journal.currency,
        "effective_on": journal.effective_on,
        "written_on": journal.written_on,
        "lines": len(journal.postings),
    }


def row_from_posting(posting: Posting) -> dict[str, Any]:
    """What the row of a posting says of it alone."""
    return {
        "account_code": posting.account,
        "side": posting.side,
        "amount": posting.amount.minor,
        "coverage_code": posting.coverage_code,
        "tax_code": posting.tax_code,
        "term_number": posting.term_number,
    }


def posting_from_row(row: Any) -> Posting:
    """The posting of its row with the currency of its journal."""
    amount = Money(row.amount, row.currency)
    return Posting(row.account_code, Side(row.side), amount, row.coverage_code, row.tax_code, row.term_number)


def _posting_rows(journal_id: UUID, journal: Journal) -> list[dict[str, Any]]:
    """The rows of the postings of a journal."""
    return [
        {"journal_id": journal_id, "line": line, **row_from_posting(posting)}
        for line, posting in enumerate(journal.postings, 1)
    ]


def _booked(rows: Sequence[Any]) -> list[Booked]:
    """Journals of their rows, one a posting, in the order of the rows."""
    booked = []
    for journal_id, group in groupby(rows, key=lambda row: row.id):
        lines = list(group)
        first = lines[0]
        journal = Journal(
            rule=first.rule,
            source_id=first.source_id,
            subject=Subject(first.policy_id, first.billing_account_id, first.claim_id, first.partner_id),
            effective_on=first.effective_on,
            postings=tuple(posting_from_row(row) for row in lines),
            written_on=first.written_on,
        )
        booked.append(Booked(journal_id, first.booked_at, first.trace_id, journal))
    return booked
