"""Entering journals in the books, for the modules whose events they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from libs.telemetry import traces
from services.payments.ledger.rules.journal import Journal, JournalConflict
from services.payments.ledger.store import journals


def book(session: Session, journal: Journal, now: datetime) -> None:
    """Enter a journal. Entering it again changes nothing; `JournalConflict` when the event has another one."""
    if journals.add(session, journal, now, traces.current_trace_id()):
        return
    if journals.find_by_source(session, journal.rule, journal.source_id) != journal:
        raise JournalConflict(rule=journal.rule, source_id=journal.source_id)


def book_new(session: Session, entries: Sequence[Journal], now: datetime) -> None:
    """Enter many journals at once. The constraint `journals_source_unique` refuses all where one was entered before."""
    journals.add_new(session, entries, now, traces.current_trace_id())
