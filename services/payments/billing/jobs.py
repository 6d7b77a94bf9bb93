"""What billing does in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from datetime import datetime

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner
from libs.rpc import idempotency
from services.payments.billing.flows import invoicing
from services.payments.billing.kinds import ISSUE_DUE_INVOICES, REAP_KEYS
from services.payments.billing.rules import invoice
from services.payments.billing.store import schedules

_BATCH = 100


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do when."""
    runner.daily(ISSUE_DUE_INVOICES, lambda: issue_due_invoices(database, clock.now()))
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))


def issue_due_invoices(database: Database, now: datetime) -> None:
    """Bill the installments that fall due, those of each account in a transaction of its own."""
    due_until = now.date() + invoice.BILLED_AHEAD
    while True:
        with database.reading() as session:
            due = schedules.list_due(session, due_until, _BATCH)
        for account_id in due:
            with database.transaction() as session:
                invoicing.issue_due_invoices(session, account_id, due_until, now)
        if len(due) < _BATCH:
            return
