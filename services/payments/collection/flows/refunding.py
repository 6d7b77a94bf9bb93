"""Sending refunds, step by step, as payments are collected.

`begin` and `record` run in transactions of their own, what asks the provider between them in none. A process that dies
anywhere leaves parts that `settle` brings to their end: it asks the provider by the part's id. One that the provider
never heard of is sent again by the same id, so that nobody is paid twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from libs import ids
from libs.db import Database, when_committed
from libs.jobs import defer, required
from services.payments.billing.flows import sending
from services.payments.billing.rules.refund import Outcome, Part, PartState, Pending, Refund
from services.payments.billing.store import refunds
from services.payments.collection import measures
from services.payments.collection.flows.collecting import PROVIDER_SECONDS
from services.payments.collection.kinds import SETTLE_REFUND, SettleRefund
from services.payments.collection.rules import payment
from services.payments.collection.rules.provider import Provider

COMES_BACK_WITHIN = timedelta(days=5)
"""When the provider is asked once more about what arrived: a bank may have sent it back by then."""

log = structlog.get_logger("refunding")


def release(database: Database, provider: Provider, refund_id: UUID, now: datetime) -> None:
    """Send a refund, if it is approved and its day has come. One that is sent already is not sent again."""
    with database.transaction() as session:
        begun = begin(session, refund_id, now)
    for part in begun:
        outcome = send(provider, part)
        with database.transaction() as session:
            record(session, refund_id, part.id, outcome, now)


def begin(session: Session, refund_id: UUID, now: datetime) -> list[Part]:
    """Put a refund in the books as sent, with the jobs that will look after its parts; gives those to be sent."""
    begun = sending.begin(session, required(refunds.lock(session, refund_id), "refund", refund_id), now)
    for part in begun:
        _settle_later(session, part.id, 0, now)
    return begun


def send(provider: Provider, part: Part) -> Outcome:
    """Have the provider pay a part back. Whatever goes wrong on the way, its end is then not known."""
    return _asked(part, lambda: provider.refund(part.id, part.payment_id, part.amount, PROVIDER_SECONDS)) or Pending()


def record(session: Session, refund_id: UUID, part_id: UUID, outcome: Outcome, now: datetime) -> Refund:
    """Record an outcome with all that follows from it. Recording it again changes nothing."""
    before = required(refunds.lock(session, refund_id), "refund", refund_id)
    after = sending.record(session, before, part_id, outcome, now)
    if after is before:
        return before
    part = required(after.part(part_id), "part", part_id)
    if part.state is PartState.SUCCEEDED:
        defer(session, SETTLE_REFUND, SettleRefund(part_id, 0), at=now + COMES_BACK_WITHIN)
    when_committed(session, lambda: measures.count_refund(part))
    log.info("refund recorded", refund_id=ids.encode("rfd", refund_id), state=after.state)
    return after


def settle(database: Database, provider: Provider, part_id: UUID, attempt: int, now: datetime) -> None:
    """Ask the provider what became of a part, and record it; while that is not known, ask again later."""
    with database.reading(fresh=True) as session:
        refund_id = required(refunds.find_of_part(session, part_id), "part of a refund", part_id)
        part = required(required(refunds.find(session, refund_id), "refund", refund_id).part(part_id), "part", part_id)
    if part.state not in (PartState.SENT, PartState.SUCCEEDED):
        return
    known = _asked(part, lambda: provider.find_refund(part_id, PROVIDER_SECONDS))
    # Never with another id: the provider, who has not heard of it, would take both for two refunds.
    outcome = send(provider, part) if known is None and part.state is PartState.SENT else known or Pending()
    with database.transaction() as session:
        recorded = record(session, refund_id, part_id, outcome, now).part(part_id)
        if recorded and recorded.state is PartState.SENT:
            log.warning("refund still open", refund_id=ids.encode("rfd", refund_id), attempt=attempt)
            _settle_later(session, part_id, attempt + 1, now)


def _settle_later(session: Session, part_id: UUID, attempt: int, now: datetime) -> None:
    defer(session, SETTLE_REFUND, SettleRefund(part_id, attempt), at=now + payment.ask_after(attempt))


def _asked(about: Part, ask: Callable[[], Outcome | None]) -> Outcome | None:
    try:
        return ask()
    except Exception:
        # A provider may fail in any way, and money may have moved all the same.
        log.warning("provider did not answer", part_id=ids.encode("rfp", about.id), exc_info=True)
        return Pending()
