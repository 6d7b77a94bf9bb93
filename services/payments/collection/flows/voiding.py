"""Withdrawing the first invoice of a policy that nobody paid in time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs.jobs import required
from services.payments.billing.flows import invoicing
from services.payments.billing.rules.invoice import State
from services.payments.billing.store import invoices
from services.payments.collection.store import payments


def void_unpaid_invoice(session: Session, invoice_id: UUID, now: datetime) -> None:
    """Withdraw an invoice; nothing when it was paid in the meantime, or when a payment of it is under way."""
    unpaid = required(invoices.lock(session, invoice_id), "invoice", invoice_id)
    if unpaid.state is State.OPEN and not payments.find_open(session, unpaid):
        invoicing.withdraw(session, unpaid, now)
