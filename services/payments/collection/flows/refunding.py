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

from libs import audit, ids
from libs.calendar import day_of, start_of
from libs.db import Database, when_committed
from libs.jobs import defer, required
from services.payments.billing.flows.refunding import subject_of
from services.payments.billing.rules import refund
from services.payments.billing.rules.refund import Outcome, Part, PartState, Pending, Refund, State
from services.payments.billing.store import refunds
from services.payments.collection import measures
from services.payments.collection.flows.collecting import PROVIDER_SECONDS
from services.payments.collection.kinds import SETTLE_REFUND, SettleRefund
from services.payments.collection.rules import payment
from services.payments.collection.rules.provider import Provider
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting

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
    approved = required(refunds.lock(session, refund_id), "refund", refund_id)
    # Taken back meanwhile, or sent by the same job before it died.
    if approved.state is not State.APPROVED or start_of(approved.not_before, approved.time_zone) > now:
        return []
    sent = refund.send(approved, now)
    refunds.save(session, sent)
    begun = [part for part in sent.current if part.state is PartState.SENT]
    for part in begun:
        _settle_later(session, part.id, 0, now)
    return begun


def send(provider: Provider, part: Part) -> Outcome:
    """Have the provider pay a part back. Whatever goes wrong on the way, its end is then not known."""
    return _asked(part, lambda: provider.refund(part.id, part.payment_id, part.amount, PROVIDER_SECONDS)) or Pending()


def record(session: Session, refund_id: UUID, part_id: UUID, outcome: Outcome, now: datetime) -> Refund:
    """Record an outcome with all that follows from it. Recording it again changes nothing."""
    before = required(refunds.lock(session, refund_id), "refund", refund_id)
    after = refund.apply(before, part_id, outcome, now)
    if after is before:
        return before
    refunds.save(session, after)
    part, was = required(after.part(part_id), "part", part_id), required(before.part(part_id), "part", part_id)
    source, day, about = ids.encode("rfp", part_id), day_of(now, after.time_zone), subject_of(after)
    if part.state is PartState.SUCCEEDED:
        booking.book(session, posting.REFUND_SUCCEEDED.journal(source, about, day, part.amount), now)
        defer(session, SETTLE_REFUND, SettleRefund(part_id, 0), at=now + COMES_BACK_WITHIN)
    elif was.state is PartState.SUCCEEDED:
        booking.book(session, posting.REFUND_FAILED.journal(source, about, day, part.amount), now)
    audit.record(
        session,
        "refund_succeeded" if part.state is PartState.SUCCEEDED else "refund_failed",
        ids.encode("rfd", refund_id),
        before={"state": before.state},
        after={"state": after.state, "amount": part.amount, "failure_code": part.failure_code},
        payment_id=ids.encode("pay", part.payment_id),
        account_id=ids.encode("bac", after.account_id),
    )
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
    found = _asked(part, lambda: provider.find_refund(part_id, PROVIDER_SECONDS))
    # Never with another id: the provider, who has not heard of it, would take both for two refunds.
    outcome = send(provider, part) if found is None and part.state is PartState.SENT else found or Pending()
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
