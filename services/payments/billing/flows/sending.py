"""What becomes of a refund that is sent: its parts, the books, the audit log. Asking the provider is for collection."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of, start_of
from libs.jobs import required
from services.payments.billing.flows.refunding import subject_of
from services.payments.billing.rules import refund
from services.payments.billing.rules.refund import Outcome, Part, PartState, Refund, State
from services.payments.billing.store import refunds
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting


def begin(session: Session, approved: Refund, now: datetime) -> list[Part]:
    """Put a locked refund in the books as sent; gives the parts to be sent, none when it is not its time."""
    # Taken back meanwhile, or sent by the same job before it died.
    if approved.state is not State.APPROVED or start_of(approved.not_before, approved.time_zone) > now:
        return []
    sent = refund.send(approved, now)
    refunds.save(session, sent)
    return [part for part in sent.current if part.state is PartState.SENT]


def record(session: Session, before: Refund, part_id: UUID, outcome: Outcome, now: datetime) -> Refund:
    """Record what became of a part of a locked refund; gives the same refund where that is nothing new."""
    after = refund.apply(before, part_id, outcome, now)
    if after is before:
        return before
    refunds.save(session, after)
    part, was = required(after.part(part_id), "part", part_id), required(before.part(part_id), "part", part_id)
    source, day, about = ids.encode("rfp", part_id), day_of(now, after.time_zone), subject_of(after)
    if part.state is PartState.SUCCEEDED:
        booking.book(session, posting.REFUND_SUCCEEDED.journal(source, about, day, part.amount), now)
    elif was.state is PartState.SUCCEEDED:
        booking.book(session, posting.REFUND_FAILED.journal(source, about, day, part.amount), now)
    audit.record(
        session,
        "refund_succeeded" if part.state is PartState.SUCCEEDED else "refund_failed",
        ids.encode("rfd", after.id),
        before={"state": before.state},
        after={"state": after.state, "amount": part.amount, "failure_code": part.failure_code},
        payment_id=ids.encode("pay", part.payment_id),
        account_id=ids.encode("bac", after.account_id),
    )
    return after
