"""Withdrawing the first invoice of a policy that nobody paid in time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.jobs import required
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import State
from services.payments.billing.store import billings, invoices
from services.payments.collection.store import payments
from services.payments.ledger.rules import ledger
from services.payments.ledger.store import journals


def void_unpaid_invoice(session: Session, invoice_id: UUID, now: datetime) -> None:
    """Withdraw the first invoice of a policy that was not paid in time, and take the whole price out of the books.

    Nothing when it was paid in the meantime, or when a payment of it is under way.
    """
    unpaid = required(invoices.lock(session, invoice_id), "invoice", invoice_id)
    if unpaid.state is not State.OPEN or payments.find_open(session, invoice_id):
        return
    billing, _ = required(billings.find(session, unpaid.policy_id), "billing of policy", unpaid.policy_id)
    named, day = ids.encode("inv", invoice_id), day_of(now, billing.time_zone)
    invoices.save(session, invoice.void(unpaid))
    amount = unpaid.installment.premium.total
    journals.post(session, ledger.invoice_voided(named, billing.policy_id, amount, day), now)
    whole = ledger.policy_not_taken(ids.encode("ptx", billing.transaction_id), billing.policy_id, billing.premium, day)
    journals.post(session, whole, now)
    audit.record(
        session,
        "invoice_voided",
        named,
        before={"state": State.OPEN},
        after={"state": State.VOID},
        policy_id=ids.encode("pol", billing.policy_id),
        user_id=ids.encode("usr", billing.user_id),
    )
