"""Issuing invoices, settling and withdrawing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of, start_of
from libs.jobs import defer, required
from libs.money import Money
from services.payments.billing.flows import dunning
from services.payments.billing.kinds import COLLECT, REFUND_CREDIT, Collect, RefundCredit
from services.payments.billing.rules import invoice
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.applying import Planned
from services.payments.billing.rules.invoice import Invoice, State
from services.payments.billing.store import accounts, invoices, payment_methods, schedules, settling
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.journal import Subject


def add(session: Session, issued: Invoice, now: datetime) -> Invoice:
    """Save a new invoice, and post it; gives it with the number that it got."""
    day = day_of(now, issued.time_zone)
    number = invoices.add(session, issued, day.year)
    journal = posting.INVOICE_ISSUED.journal(
        ids.encode("inv", issued.id), subject_of(issued), day, issued.amounts.total
    )
    booking.book(session, journal, now)
    return replace(issued, number=number)


def issue_due_invoices(session: Session, account_id: UUID, due_until: date, now: datetime) -> None:
    """Bill the installments of an account that fall due until a day, and settle them with its credit."""
    holder = required(accounts.lock(session, account_id), "billing account", account_id)
    credit = Money(settling.find_credit(session, account_id), holder.currency)
    for planned in schedules.list_planned(session, account_id):
        if planned.installment.due_on > due_until:
            return
        schedules.save_invoiced(session, planned.schedule_id, planned.installment.number)
        issued = _bill(holder, planned, now)
        amount = min(credit, issued.amount_due)
        settled = invoice.settle(issued, amount, now) if amount.minor else issued
        add(session, settled, now)
        if amount.minor:
            allocate_credit(session, settled, amount, now)
            credit = credit - amount
        collect_when_due(session, holder, [settled], now)


def collect_when_due(
    session: Session, holder: Account, unpaid: Iterable[Invoice], now: datetime, attempt: str = "due"
) -> None:
    """Have what is due of invoices collected when they fall due, where the payer of the account wants it."""
    for bill in unpaid:
        if holder.autopay and bill.amount_due.minor:
            due = start_of(bill.due_on, bill.time_zone)
            defer(session, COLLECT, Collect(bill.id, attempt), at=due if due > now else None)


def allocate_credit(session: Session, settled: Invoice, amount: Money, now: datetime) -> None:
    """Post that credit settled an amount of an invoice, which says so already."""
    allocation_id = ids.new()
    settling.add_allocation(session, allocation_id, settled.id, amount.minor, now, payment_id=None)
    settling.add_credit(session, ids.new(), settled.policy_id, -amount.minor, now, allocation_id=allocation_id)
    source, day = ids.encode("alc", allocation_id), day_of(now, settled.time_zone)
    booking.book(session, posting.CREDIT_APPLIED.journal(source, subject_of(settled), day, amount), now)


def pay(session: Session, unpaid: Invoice, payment_id: UUID, paid: Money, now: datetime) -> None:
    """Post a payment of a locked invoice: it settles what is due; what is left of it is the account's credit."""
    amount = min(paid, unpaid.amount_due)
    source, subject, day = ids.encode("pay", payment_id), subject_of(unpaid), day_of(now, unpaid.time_zone)
    if amount.minor:
        invoices.save(session, invoice.settle(unpaid, amount, now))
        settling.add_allocation(session, ids.new(), unpaid.id, amount.minor, now, payment_id=payment_id)
        booking.book(session, posting.PAYMENT_CAPTURED.journal(source, subject, day, amount), now)
    rest = paid - amount
    if rest.minor:
        settling.add_credit(session, ids.new(), unpaid.policy_id, rest.minor, now, payment_id=payment_id)
        booking.book(session, posting.PAYMENT_OVERPAID.journal(source, subject, day, rest), now)
        # Whether the policy has ended is asked under the lock of the account, which comes before that of an invoice.
        defer(session, REFUND_CREDIT, RefundCredit(unpaid.policy_id))
    dunning.follow_money(session, unpaid.policy_id, now)


def forget_token(session: Session, account_id: UUID) -> None:
    """Forget the token that was given for the first premium: it is collected, or never will be with it."""
    payment_methods.delete_used(session, account_id)


def void(session: Session, unpaid: Invoice, now: datetime) -> None:
    """Withdraw an invoice of which nothing is settled: what it demands is no longer billed."""
    invoices.save(session, invoice.void(unpaid))
    source, day = ids.encode("inv", unpaid.id), day_of(now, unpaid.time_zone)
    journal = posting.INVOICE_VOIDED.journal(source, subject_of(unpaid), day, unpaid.amounts.total)
    booking.book(session, journal, now)
    forget_token(session, unpaid.policy_id)
    audit.record(
        session,
        "invoice_voided",
        source,
        before={"state": unpaid.state},
        after={"state": State.VOID},
        policy_id=ids.encode("pol", unpaid.policy_id),
        user_id=ids.encode("usr", unpaid.user_id),
    )


def subject_of(issued: Invoice) -> Subject:
    """What the journals of an invoice are about. A billing account has the identifier of its policy."""
    return Subject(issued.policy_id, issued.policy_id, None, issued.partner_id)


def _bill(holder: Account, planned: Planned, now: datetime) -> Invoice:
    """The invoice of a planned installment."""
    return Invoice(
        id=ids.new(),
        policy_id=holder.id,
        user_id=holder.payer_id,
        partner_id=holder.partner_id,
        term_number=planned.term_number,
        installment_number=planned.installment.number,
        due_on=planned.installment.due_on,
        amounts=planned.installment.amounts,
        issued_at=now,
        time_zone=holder.time_zone,
    )
