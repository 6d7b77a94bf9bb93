"""Opening the billing of a policy, issuing invoices and withdrawing them, for the calls and the jobs that do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.calendar import day_of
from libs.jobs import defer, required
from services.payments.billing.kinds import COLLECT, Collect
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Billing, BillingConflict, Installment, Invoice
from services.payments.billing.store import billings, invoices
from services.payments.ledger.rules import ledger
from services.payments.ledger.store import journals


def open_billing(session: Session, billing: Billing, now: datetime) -> None:
    """Save the billing, bill its first installment, and post both; `BillingConflict` when the policy has another.

    The same billing again changes nothing.
    """
    if not billings.add(session, billing):
        found = billings.find(session, billing.policy_id)
        if found is None or not _is_same(found[0], billing):
            raise BillingConflict
        return
    journal = ledger.policy_issued(
        ids.encode("ptx", billing.transaction_id),
        billing.policy_id,
        billing.premium,
        day_of(billing.issued_at, billing.time_zone),
    )
    journals.post(session, journal, now)
    first = issue_invoice(session, billing, billing.installments[0], now)
    if billing.payment_method:
        defer(session, COLLECT, Collect(first.id))


def issue_due_invoice(session: Session, policy_id: UUID, number: int, now: datetime) -> None:
    """Bill an installment that falls due; nothing when it was billed in the meantime."""
    billings.lock(session, policy_id)
    billing, billed = required(billings.find(session, policy_id), "billing of policy", policy_id)
    if number not in billed:
        issue_invoice(session, billing, billing.installments[number - 1], now)
    billings.strike(session, policy_id, number)


def issue_invoice(session: Session, billing: Billing, installment: Installment, now: datetime) -> Invoice:
    """Bill an installment, and post that."""
    day = day_of(now, billing.time_zone)
    number = invoice.number_for(day.year, invoices.next_number(session, day.year))
    issued = invoice.bill(billing, installment, now, invoice_id=ids.new(), number=number)
    invoices.add(session, issued)
    journal = ledger.invoice_issued(ids.encode("inv", issued.id), issued.policy_id, installment.premium.total, day)
    journals.post(session, journal, now)
    return issued


def _is_same(found: Billing, asked: Billing) -> bool:
    """Whether a billing was asked for before.

    One that was opened before time zones were sent has its days in UTC. The asker forgets the token once it has heard
    of the billing.
    """
    if len(found.installments) != len(asked.installments):
        return False
    token = asked.payment_method or found.payment_method
    return found == replace(asked, time_zone=found.time_zone, installments=found.installments, payment_method=token)
