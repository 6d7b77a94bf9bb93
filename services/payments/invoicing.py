"""Opening the billing of a policy, issuing invoices and withdrawing them, for the calls and the jobs that do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.jobs import JobKind, defer
from services.payments import invoice, ledger, store
from services.payments.invoice import Billing, BillingConflict, Installment, Invoice, State

COLLECT = JobKind("payments.collect", "payments", endless=True)


def open_billing(session: Session, billing: Billing, now: datetime) -> None:
    """Save the billing, bill its first installment, and post both; `BillingConflict` when the policy has another.

    The same billing again changes nothing.
    """
    if not store.billing.add(session, billing):
        found = store.billing.find(session, billing.policy_id)
        if found is None or not _is_same(found[0], billing):
            raise BillingConflict
        return
    journal = ledger.policy_issued(
        ids.encode("ptx", billing.transaction_id),
        billing.policy_id,
        billing.premium,
        invoice.day_of(billing.issued_at, billing.time_zone),
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
    store.billing.strike(session, policy_id, number)


def void_unpaid_invoice(session: Session, invoice_id: UUID, now: datetime) -> None:
    """Withdraw the first invoice of a policy that was not paid in time, and take the whole price out of the books.

    Nothing when it was paid in the meantime, or when a payment of it is under way.
    """
    unpaid = store.invoices.lock(session, invoice_id)
    found = store.billing.find(session, unpaid.policy_id) if unpaid else None
    if unpaid is None or found is None:
        raise LookupError(f"there is no invoice {invoice_id}")
    if unpaid.state is not State.OPEN or store.payments.find_open(session, invoice_id):
        return
    billing = found[0]
    named, day = ids.encode("inv", invoice_id), invoice.day_of(now, billing.time_zone)
    store.invoices.save(session, invoice.void(unpaid))
    amount = unpaid.installment.premium.total
    store.ledger.post(session, ledger.invoice_voided(named, billing.policy_id, amount, day), now)
    whole = ledger.policy_not_taken(ids.encode("ptx", billing.transaction_id), billing.policy_id, billing.premium, day)
    store.ledger.post(session, whole, now)
    audit.record(
        session,
        "invoice_voided",
        named,
        before={"state": State.OPEN},
        after={"state": State.VOID},
        policy_id=ids.encode("pol", billing.policy_id),
        user_id=ids.encode("usr", billing.user_id),
    )


def issue_invoice(session: Session, billing: Billing, installment: Installment, now: datetime) -> Invoice:
    """Bill an installment, and post that."""
    day = invoice.day_of(now, billing.time_zone)
    number = invoice.number_for(day.year, store.invoices.next_number(session, day.year))
    issued = invoice.bill(billing, installment, now, invoice_id=ids.new(), number=number)
    store.invoices.add(session, issued)
    journal = ledger.invoice_issued(ids.encode("inv", issued.id), issued.policy_id, installment.premium.total, day)
    store.ledger.post(session, journal, now)
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
