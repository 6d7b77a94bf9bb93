"""Opening the billing of a policy and issuing invoices, for the call that asks for it and for the job that follows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.jobs import JobKind, defer
from services.payments import invoice, ledger, store
from services.payments.invoice import Billing, BillingConflict, Installment, Invoice

COLLECT = JobKind("payments.collect", "payments")


def open_billing(session: Session, billing: Billing, now: datetime) -> None:
    """Save the billing, bill its first installment, and post both; `BillingConflict` when the policy has another.

    The same billing again changes nothing.
    """
    if not store.billing.add(session, billing):
        found = store.billing.find(session, billing.policy_id)
        if found is None or found[0] != billing:
            raise BillingConflict
        return
    journal = ledger.policy_issued(
        ids.encode("ptx", billing.transaction_id), billing.policy_id, billing.premium, billing.issued_at.date()
    )
    store.ledger.post(session, journal, now)
    first = issue_invoice(session, billing, billing.installments[0], now)
    if billing.payment_method:
        defer(session, COLLECT, invoice_id=str(first.id))


def issue_due_invoice(session: Session, policy_id: UUID, number: int, now: datetime) -> None:
    """Bill an installment that falls due; nothing when it was billed in the meantime."""
    store.billing.lock(session, policy_id)
    found = store.billing.find(session, policy_id)
    if found is None:
        raise LookupError(f"there is no billing of policy {policy_id}")
    billing, billed = found
    if number not in billed:
        issue_invoice(session, billing, billing.installments[number - 1], now)


def issue_invoice(session: Session, billing: Billing, installment: Installment, now: datetime) -> Invoice:
    """Bill an installment, and post that."""
    number = invoice.number_for(now.year, store.invoices.next_number(session, now.year))
    issued = invoice.bill(billing, installment, now, invoice_id=ids.new(), number=number)
    store.invoices.add(session, issued)
    journal = ledger.invoice_issued(
        ids.encode("inv", issued.id), issued.policy_id, installment.premium.total, now.date()
    )
    store.ledger.post(session, journal, now)
    return issued
