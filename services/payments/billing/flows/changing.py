"""Changing how an account is paid, with what follows for what is planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import groupby

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.errors import FieldInvalid
from services.payments.billing.flows import invoicing
from services.payments.billing.rules import account
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.applying import Schedule
from services.payments.billing.store import accounts, invoices, payment_methods, schedules


def save(session: Session, before: Account, after: Account, now: datetime) -> None:
    """Save a changed account. `FieldInvalid` for a payment method that is not its payer's."""
    if after.payment_method_id and after.payment_method_id != before.payment_method_id:
        method = payment_methods.find_for_use(session, after.payment_method_id)
        if method is None or method.user_id != after.payer_id:
            raise FieldInvalid(violations={"billing_account.payment_method_id": "is none of the payer's"})
    accounts.save(session, after)
    if after.due_day not in (0, before.due_day):
        _redate(session, after, now)
    if after.autopay and (not before.autopay or after.payment_method_id != before.payment_method_id):
        unpaid = invoices.find_unsettled(session, after.id)
        # The first premium is for the payer who buys, or for the method that was agreed on with the contract.
        later = [bill for bill in unpaid if not bill.is_first]
        invoicing.collect_when_due(session, after, later, now, attempt=f"account-{after.version}")
    audit.record(
        session,
        "billing_account_updated",
        ids.encode("bac", after.id),
        before=_audited(before),
        after=_audited(after),
    )


def _redate(session: Session, changed: Account, now: datetime) -> None:
    """Plan again what is planned, for another day of the month."""
    today = day_of(now, changed.time_zone)
    planned = sorted(schedules.list_planned(session, changed.id), key=lambda item: item.term_number)
    if planned:
        schedules.save_superseded(session, {item.schedule_id for item in planned})
    for term_number, group in groupby(planned, key=lambda item: item.term_number):
        items = list(group)
        parts = [item.installment for item in items]
        moved = tuple(replace(part, due_on=account.redated(part.due_on, changed.due_day, today)) for part in parts)
        schedules.add(session, changed.id, items[-1].transaction_id, Schedule(term_number, moved), ())


def _audited(changed: Account) -> dict[str, object]:
    """What the audit log keeps of how an account is paid."""
    return {
        "payer_id": ids.encode("cus", changed.payer_id),
        "due_day": changed.due_day,
        "autopay": changed.autopay,
        "method_id": ids.encode("pmt", changed.payment_method_id) if changed.payment_method_id else "",
    }
