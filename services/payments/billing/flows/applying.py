"""Applying a transaction of a policy to its billing account, and telling what that would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.calendar import day_of
from libs.db import when_committed
from libs.jobs import defer
from libs.money import CurrencyMismatch, Money
from services.payments.billing import measures
from services.payments.billing.flows import dunning, earning, invoicing, refunding
from services.payments.billing.flows.refunding import Order
from services.payments.billing.kinds import COLLECT, CONFIRM_CREDIT, Collect, ConfirmCredit
from services.payments.billing.rules import account, applying, arrears, transaction
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.applying import Outcome, Refunding, Standing
from services.payments.billing.rules.invoice import Invoice, State
from services.payments.billing.rules.plan import Installment
from services.payments.billing.rules.result import Result, open_invoice, result_of
from services.payments.billing.rules.transaction import ENDINGS, BillingConflict, Kind, Transaction
from services.payments.billing.store import (
    accounts,
    invoices,
    payment_methods,
    refunds,
    schedules,
    settling,
    transactions,
)
from services.payments.billing.store.dunning import find_changes
from services.payments.billing.store.transactions import Applied
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import changing
from services.payments.ledger.rules.changing import Credited
from services.payments.ledger.rules.journal import Subject

ToReply = Callable[[Result], bytes]


def apply(session: Session, change: Transaction, fingerprint: bytes | None, now: datetime, to_reply: ToReply) -> bytes:
    """Apply a transaction with all that follows from it; gives what `to_reply` made of its result the first time.

    Raises what the contract says. Without a fingerprint, it is the same as one with the same identifier and total.
    """
    transaction.check(change)
    method_id = ids.new() if change.payment_method else _kept_method(session, change)
    if change.sequence == 1 and accounts.add(session, account.open_account(change, now, method_id)):
        if change.payment_method and method_id:
            payment_methods.add_once(session, method_id, change.payer_id, change.payment_method, now)
        transaction.check_timeline(change.timeline, change.lines)
        standing, unsettled = Standing(Money.zero(change.currency)), {}
    else:
        holder = accounts.lock(session, change.policy_id)
        if before := transactions.find(session, change.id):
            return _repeated(session, before, change, fingerprint, to_reply)
        transaction.check_order(change, holder.last_sequence if holder else 0)
        unsettled = {item.id: item for item in invoices.lock_unsettled(session, change.policy_id)}
        standing = _standing(session, holder, change, unsettled)
        if holder:
            accounts.save(session, account.follow(holder, change))
    outcome = applying.apply(standing, change, day_of(now, change.time_zone))
    result = result_of(standing, unsettled, outcome, change, now, [ids.new() for _ in outcome.bills])
    return _save(session, standing, unsettled, change, outcome, result, fingerprint, now, to_reply)


def preview(session: Session, change: Transaction, now: datetime) -> Result:
    """What `apply` would lead to; raises what it would raise."""
    transaction.check(change)
    holder = accounts.find(session, change.policy_id)
    transaction.check_order(change, holder.last_sequence if holder else 0)
    unsettled = {item.id: item for item in invoices.find_unsettled(session, change.policy_id)}
    standing = _standing(session, holder, change, unsettled)
    outcome = applying.apply(standing, change, day_of(now, change.time_zone))
    return result_of(standing, unsettled, outcome, change, now, [ids.new() for _ in outcome.bills])


def _kept_method(session: Session, change: Transaction) -> UUID | None:
    """The payment method that is named, if the payer keeps it: what is owed is never refused for lack of one."""
    method = payment_methods.find_for_use(session, change.payment_method_id) if change.payment_method_id else None
    return method.id if method and method.user_id == change.payer_id else None


def _standing(
    session: Session, holder: Account | None, change: Transaction, unsettled: Mapping[UUID, Invoice]
) -> Standing:
    """The account as the transaction finds it; what is charged with the transaction must be what its timeline says."""
    if holder is None:
        transaction.check_timeline(change.timeline, change.lines)
        return Standing(Money.zero(change.currency))
    if holder.currency != change.currency:
        raise CurrencyMismatch(expected=holder.currency, actual=change.currency)
    terms = {stretch.term_number for stretch in change.timeline}
    if terms:
        charged = transactions.list_lines(session, holder.id, holder.currency)
        transaction.check_timeline(change.timeline, [*charged, *change.lines])
    ended_on = (
        arrears.ended_on(find_changes(session, [holder.id])[holder.id]) if applying.may_follow_ending(change) else None
    )
    return Standing(
        credit=Money(settling.find_credit(session, holder.id), holder.currency),
        planned=tuple(schedules.list_planned(session, holder.id)),
        open=tuple(open_invoice(item) for item in unsettled.values()),
        billed=invoices.find_last_numbers(session, holder.id),
        is_withdrawn=holder.withdrawn_at is not None,
        fallen=_fallen(session, holder, change.reverses) if applying.may_restore(change) else {},
        given_back=settling.find_given_back(session, holder.id, change.reverses) if applying.may_restore(change) else 0,
        recallable=tuple(refunds.list_recallable(session, holder.id)) if applying.may_recall(change) else (),
        refundable=refunds.find_refundable(session, holder.id) if applying.may_refund(change) or ended_on else 0,
        ended_on=ended_on,
    )


def _fallen(session: Session, holder: Account, reverses: UUID | None) -> dict[int, tuple[Installment, ...]]:
    """What fell away when cover ended, on the day of the month that the payer has chosen since.

    Of an ending that is taken back it is what was planned before it: another ending may still stand.
    """
    fallen = (
        schedules.find_before(session, holder.id, reverses) if reverses else schedules.find_fallen(session, holder.id)
    )
    if not holder.due_day:
        return fallen
    return {
        term_number: tuple(replace(part, due_on=part.due_on.replace(day=holder.due_day)) for part in parts)
        for term_number, parts in fallen.items()
    }


def _save(
    session: Session,
    standing: Standing,
    unsettled: Mapping[UUID, Invoice],
    change: Transaction,
    outcome: Outcome,
    result: Result,
    fingerprint: bytes | None,
    now: datetime,
    to_reply: ToReply,
) -> bytes:
    _book(session, change, outcome, now, is_withdrawn=standing.is_withdrawn)
    billed = [invoicing.add(session, item, now) for item in result.billed]
    result = replace(result, billed=tuple(billed), refund_id=ids.new() if result.refund else None)
    reply = to_reply(result)
    transactions.add(session, change, now, fingerprint, reply)
    if change.timeline or change.lines:
        earning.follow_transaction(session, change.policy_id, change.id, now)
    _save_schedules(session, standing, change, outcome)
    if outcome.credited.minor:
        settling.add_credit(session, ids.new(), change.policy_id, outcome.credited.minor, now, transaction_id=change.id)
    for voided in outcome.voided:
        invoicing.void(session, unsettled[voided.id], now)
    # Before the credit that they give back is used.
    for recalled in outcome.recalled:
        refunding.recall(session, recalled.refund_id, now)
    after = {item.id: item for item in (*result.changed, *billed)}
    # An ending without a timeline leaves no cover that could begin.
    leaves_cover = change.kind not in ENDINGS or bool(change.timeline)
    for settlement in outcome.settlements:
        number = settlement.invoice
        settled = after[billed[number].id if isinstance(number, int) else number]
        if settled.id in unsettled:
            invoices.save(session, settled)
        invoicing.allocate_credit(session, settled, settlement.amount, now)
        if settled.payable_until and settled.state is State.PAID and leaves_cover:
            defer(session, CONFIRM_CREDIT, ConfirmCredit(settled.id))
    if outcome.refund and result.refund_id:
        _refund(session, change, outcome.refund, min(outcome.refund.amount, outcome.credited), result.refund_id, now)
    if change.kind is Kind.NOT_TAKEN and change.term_number == 1 and not standing.is_withdrawn:
        accounts.save_withdrawn(session, change.policy_id, now)
    dunning.follow_transaction(session, change, now)
    # Where the account has no such method any more, the job finds none, and the invoice stays open.
    is_collected = change.payment_method or change.payment_method_id
    if is_collected and billed and billed[0].amount_due.minor:
        defer(session, COLLECT, Collect(billed[0].id))
    elif billed and (holder := accounts.find(session, change.policy_id)):
        invoicing.collect_when_due(session, holder, [after[item.id] for item in billed], now)
    when_committed(session, lambda: measures.count_returned(change))
    return reply


def _refund(
    session: Session, change: Transaction, refund: Refunding, from_change: Money, refund_id: UUID, now: datetime
) -> None:
    order = Order(
        change.policy_id,
        change.customer_id,
        change.partner_id,
        change.time_zone,
        refund.amount,
        refund.not_before,
        transaction_id=change.id,
    )
    refunding.pay_out(session, refunding.draft(session, order, refund_id, now), now, from_change=from_change)


def _save_schedules(session: Session, standing: Standing, change: Transaction, outcome: Outcome) -> None:
    """The new schedules take the place of what was planned for their terms."""
    terms = {schedule.term_number for schedule in outcome.schedules}
    if superseded := {item.schedule_id for item in standing.planned if item.term_number in terms}:
        schedules.save_superseded(session, superseded)
    for schedule in outcome.schedules:
        billed = {bill.number for bill in outcome.bills if bill.term_number == schedule.term_number}
        schedules.add(session, change.policy_id, change.id, schedule, billed)


def _book(session: Session, change: Transaction, outcome: Outcome, now: datetime, *, is_withdrawn: bool) -> None:
    """The journal of what the transaction changes, unless the price has left the books before."""
    if change.kind is Kind.NOT_TAKEN and is_withdrawn:
        return
    issued_on = day_of(change.issued_at, change.time_zone)
    credited, zero = outcome.credited, Money.zero(change.currency)
    refunded = min(outcome.refund.amount, credited) if outcome.refund else zero
    journal = changing.policy_changed(
        ids.encode("ptx", change.id),
        Subject(change.policy_id, change.policy_id, None, change.partner_id),
        issued_on if change.kind is Kind.NEW_BUSINESS else change.effective_on,
        change.lines,
        credited=Credited(-change.total - credited, zero, credited - refunded, refunded) if credited.minor else None,
        written_on=max(issued_on, change.term_starts_on),
    )
    if journal:
        booking.book(session, journal, now)


def _repeated(
    session: Session, before: Applied, change: Transaction, fingerprint: bytes | None, to_reply: ToReply
) -> bytes:
    """The answer of the first time; `BillingConflict` when the transaction had other content then."""
    is_comparable = fingerprint is not None and before.fingerprint is not None
    is_same = before.fingerprint == fingerprint if is_comparable else before.total == change.total.minor
    if not is_same or before.account_id != change.policy_id:
        raise BillingConflict
    if before.reply is not None:
        return before.reply
    # Billed before there was this call: what came of it, as it stands.
    planned = tuple((item.term_number, item.installment) for item in schedules.list_planned(session, change.policy_id))
    billed = tuple(invoices.find_of_policy(session, change.policy_id))
    due = sum((item.amount_due for item in billed), Money.zero(change.currency))
    zero = Money.zero(change.currency)
    return to_reply(Result(billed, (), planned, zero, due, is_plan_reduced=False))
