"""Paying credit of an account out, and taking back what was not sent. Sending is for collection, by a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of, start_of
from libs.jobs import defer, required
from libs.money import Money
from services.payments.billing.kinds import RELEASE_REFUND, ReleaseRefund
from services.payments.billing.rules import arrears, refund
from services.payments.billing.rules.refund import Part, Refund, State
from services.payments.billing.rules.transaction import ENDINGS
from services.payments.billing.store import accounts, dunning, refunds, settling
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.journal import Subject


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid out of the credit of which account, and why."""

    account_id: UUID
    user_id: UUID
    partner_id: UUID | None
    time_zone: str
    amount: Money
    not_before: date
    state: State = State.APPROVED
    transaction_id: UUID | None = None
    requested_by: UUID | None = None
    note: str = ""


def draft(session: Session, order: Order, refund_id: UUID, now: datetime) -> Refund:
    """The refund that an order makes, which is not stored: a part for each payment that the money goes back to."""
    captured = refunds.list_captured(session, order.account_id)
    parts = [Part(ids.new(), payment_id, amount) for payment_id, amount in refund.split(order.amount, captured)]
    return Refund(
        id=refund_id,
        account_id=order.account_id,
        user_id=order.user_id,
        partner_id=order.partner_id,
        amount=order.amount,
        time_zone=order.time_zone,
        not_before=order.not_before,
        created_at=now,
        state=order.state,
        parts=tuple(parts),
        transaction_id=order.transaction_id,
        requested_by=order.requested_by,
        note=order.note,
    )


def pay_out(session: Session, made: Refund, now: datetime, *, from_change: Money | None = None) -> None:
    """Take a refund out of the credit of a locked account, and have it sent when its day comes.

    What of it comes straight `from_change`, what a transaction gives back, is posted with the transaction.
    """
    refunds.add(session, made)
    settling.add_credit(session, ids.new(), made.account_id, -made.amount.minor, now, refund_id=made.id)
    from_credit = made.amount - (from_change or Money.zero(made.amount.currency))
    source = ids.encode("rfd", made.id)
    if from_credit.minor:
        day = day_of(now, made.time_zone)
        booking.book(session, posting.CREDIT_REFUNDED.journal(source, subject_of(made), day, from_credit), now)
    release_later(session, made, now)
    audit.record(
        session,
        "refund_requested",
        source,
        after={"state": made.state, "amount": made.amount},
        account_id=ids.encode("bac", made.account_id),
        transaction_id=ids.encode("ptx", made.transaction_id) if made.transaction_id else "",
    )


def release_later(session: Session, made: Refund, now: datetime) -> None:
    """Have an approved refund sent when its day comes."""
    if made.state is State.APPROVED:
        day_begins = start_of(made.not_before, made.time_zone)
        defer(session, RELEASE_REFUND, ReleaseRefund(made.id), at=day_begins if day_begins > now else None)


def recall(session: Session, refund_id: UUID, now: datetime) -> None:
    """Take a refund back that was not sent, because its account, which is locked, has another use for the money."""
    take_back(session, required(refunds.lock(session, refund_id), "refund", refund_id), now)


def take_back(session: Session, before: Refund, now: datetime, *, by: UUID | None = None, note: str = "") -> Refund:
    """Make credit again what of a locked refund did not arrive; the account is locked, too."""
    after, returned = refund.take_back(before, now, by=by, note=note)
    refunds.save(session, after)
    movement_id = ids.new()
    settling.add_credit(session, movement_id, after.account_id, returned.minor, now, refund_id=after.id)
    source, day = ids.encode("crd", movement_id), day_of(now, after.time_zone)
    booking.book(session, posting.REFUND_TAKEN_BACK.journal(source, subject_of(after), day, returned), now)
    audit.record(
        session,
        "refund_returned",
        ids.encode("rfd", after.id),
        before={"state": before.state},
        after={"state": after.state, "returned": returned},
        note=note,
    )
    return after


def pay_out_credit(session: Session, account_id: UUID, now: datetime) -> None:
    """Pay out the credit of an account whose policy has ended and for which nothing is planned or due."""
    holder = required(accounts.lock(session, account_id), "billing account", account_id)
    sums = required(accounts.find_sums(session, account_id, now), "billing account", account_id)
    amount = Money(min(sums.credit, refunds.find_refundable(session, account_id)), holder.currency)
    if sums.planned or sums.due or amount.minor <= 0:
        return
    if accounts.find_last_kind(session, account_id) not in ENDINGS and not arrears.ended_on(
        dunning.find_changes(session, [account_id])[account_id]
    ):
        return
    order = Order(
        account_id,
        holder.customer_id,
        holder.partner_id,
        holder.time_zone,
        amount,
        not_before=day_of(now, holder.time_zone),
    )
    pay_out(session, draft(session, order, ids.new(), now), now)


def subject_of(made: Refund) -> Subject:
    """What the journals of a refund are about."""
    return Subject(made.account_id, made.account_id, None, made.partner_id)
