"""Opening the billing of a policy, issuing its invoices, settling and withdrawing them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.jobs import defer, required
from services.payments.billing.kinds import COLLECT, Collect
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Billing, BillingConflict, Installment, Invoice, State
from services.payments.billing.store import billings, invoices
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import posting
from services.payments.ledger.rules.journal import Subject


def open_billing(session: Session, billing: Billing, now: datetime) -> None:
    """Save the billing, bill its first installment, and post both; `BillingConflict` when the policy has another.

    The same billing again changes nothing.
    """
    if not billings.add(session, billing):
        before, _ = billings.find(session, billing.policy_id) or (None, {})
        if before is None or not _is_same(before, billing):
            raise BillingConflict
        return
    price = billing.premium
    journal = posting.POLICY_ISSUED.journal(
        ids.encode("ptx", billing.transaction_id),
        Subject(billing.policy_id),
        day_of(billing.issued_at, billing.time_zone),
        *(price.net, price.tax, price.fees),
    )
    booking.book(session, journal, now)
    first = issue_invoice(session, billing, billing.installments[0], now)
    if billing.payment_method:
        defer(session, COLLECT, Collect(first.id))


def issue_due_invoice(session: Session, policy_id: UUID, number: int, now: datetime) -> None:
    """Bill an installment that falls due; nothing when it was billed in the meantime."""
    billings.lock(session, policy_id)
    billing, billed = required(billings.find(session, policy_id), "billing of policy", policy_id)
    if number not in billed:
        issue_invoice(session, billing, billing.installments[number - 1], now)
    billings.delete_unbilled(session, policy_id, number)


def issue_invoice(session: Session, billing: Billing, installment: Installment, now: datetime) -> Invoice:
    """Bill an installment, and post that."""
    day = day_of(now, billing.time_zone)
    number = invoice.number_for(day.year, invoices.add_number(session, day.year))
    issued = invoice.bill(billing, installment, now, invoice_id=ids.new(), number=number)
    invoices.add(session, issued)
    journal = posting.INVOICE_ISSUED.journal(
        ids.encode("inv", issued.id), Subject(issued.policy_id), day, installment.premium.total
    )
    booking.book(session, journal, now)
    return issued


def pay(session: Session, unpaid: Invoice, now: datetime) -> None:
    """Settle a locked invoice: it is paid in full."""
    invoices.save(session, invoice.pay(unpaid, now))


def withdraw(session: Session, unpaid: Invoice, now: datetime) -> None:
    """Withdraw the first invoice of a policy, which is locked, and take the whole price out of the books."""
    billing, _ = required(billings.find(session, unpaid.policy_id), "billing of policy", unpaid.policy_id)
    invoice_id, subject, price = ids.encode("inv", unpaid.id), Subject(billing.policy_id), billing.premium
    transaction_id, day = ids.encode("ptx", billing.transaction_id), day_of(now, billing.time_zone)
    invoices.save(session, invoice.void(unpaid))
    voided = posting.INVOICE_VOIDED.journal(invoice_id, subject, day, unpaid.installment.premium.total)
    not_taken = posting.POLICY_NOT_TAKEN.journal(transaction_id, subject, day, price.net, price.tax, price.fees)
    for journal in (voided, not_taken):
        booking.book(session, journal, now)
    audit.record(
        session,
        "invoice_voided",
        invoice_id,
        before={"state": unpaid.state},
        after={"state": State.VOID},
        policy_id=ids.encode("pol", billing.policy_id),
        user_id=ids.encode("usr", billing.user_id),
    )


def _is_same(before: Billing, asked: Billing) -> bool:
    """Whether a billing was asked for before.

    One that was opened before time zones were sent has its days in UTC. The asker forgets the token once it has heard
    of the billing.
    """
    if len(before.installments) != len(asked.installments):
        return False
    token = asked.payment_method or before.payment_method
    return before == replace(asked, time_zone=before.time_zone, installments=before.installments, payment_method=token)
