"""What payments does in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import structlog

from libs.db import Database
from libs.jobs import GiveUp, JobKind, JobRunner
from libs.rpc import giving_up, idempotency
from services.payments.billing.flows import invoicing
from services.payments.billing.flows.invoicing import COLLECT
from services.payments.billing.rules import invoice
from services.payments.billing.store import billings, invoices
from services.payments.clients import Policies
from services.payments.collection.flows import collecting, voiding
from services.payments.collection.flows.collecting import CONFIRM_PREMIUM, SETTLE
from services.payments.collection.rules import payment
from services.payments.collection.rules.provider import Provider
from services.payments.collection.store import payments

ISSUE_DUE_INVOICES = JobKind("payments.issue_due_invoices", "payments")
VOID_UNPAID_INVOICES = JobKind("payments.void_unpaid_invoices", "payments")
REAP_KEYS = JobKind("payments.reap_idempotency_keys")
_BATCH = 100

log = structlog.get_logger("jobs")


class Handlers:
    """What to do for each kind of job."""

    def __init__(self, database: Database, provider: Provider, policies: Policies) -> None:
        self._database = database
        self._provider = provider
        self._policies = policies

    def collect(self, invoice_id: str) -> None:
        """Collect the first invoice with the token that the policyholder gave when buying, however late it becomes.

        When an earlier run of this job died on the way, its payment is under way: this one fails with
        `PaymentInProgress` and is tried again, until that payment has come to its end. Another payment is begun only
        when that one was given up before any money moved.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as session:
            billed = invoices.lock(session, UUID(invoice_id))
            found = billings.find(session, billed.policy_id) if billed else None
            if billed is None or found is None:
                raise GiveUp(f"there is no invoice {invoice_id}")
            # A run before this one may have died after the provider said no: the card is not asked a second time.
            if billed.state is not invoice.State.OPEN or payments.was_declined(session, billed.id):
                return
            begun = collecting.begin(session, billed, None, self._provider.name, now, agreed_before=True)
        outcome = collecting.charge(self._provider, begun, found[0].payment_method)
        with self._database.transaction() as session:
            done = collecting.record(session, begun.id, outcome, datetime.now(UTC))
        # Not an error of the job: the policyholder sees it, and pays in another way.
        if refusal := payment.refusal(done, outcome):
            log.info("first premium not collected", invoice_id=invoice_id, reason=refusal.reason)

    def settle(self, payment_id: str, attempt: int) -> None:
        """Find out what became of a payment, if nobody did before."""
        collecting.settle(self._database, self._provider, UUID(payment_id), attempt, datetime.now(UTC))

    def confirm_premium(self, payment_id: str) -> None:
        """Tell policies that the first premium is paid."""
        with self._database.reading() as session:
            paid = payments.find(session, UUID(payment_id))
            billed = invoices.find(session, paid.invoice_id) if paid else None
        if paid is None or billed is None or paid.completed_at is None:
            raise GiveUp(f"there is no payment {payment_id} that came to its end")
        with giving_up.when_refused():
            self._policies.activate_policy(billed.policy_id, paid.id, paid.completed_at)

    def issue_due_invoices(self) -> None:
        """Bill the installments that fall due, each in a transaction of its own."""
        now = datetime.now(UTC)
        while True:
            with self._database.reading() as session:
                due = billings.list_unbilled(session, now.date() + invoice.BILLED_AHEAD, _BATCH)
            for policy_id, number in due:
                with self._database.transaction() as session:
                    invoicing.issue_due_invoice(session, policy_id, number, now)
            if len(due) < _BATCH:
                return

    def void_unpaid_invoices(self) -> None:
        """Withdraw the first invoices that were not paid in time, each in a transaction of its own."""
        now = datetime.now(UTC)
        while True:
            with self._database.reading() as session:
                unpaid = payments.list_unpaid(session, now, _BATCH)
            for invoice_id in unpaid:
                with self._database.transaction() as session:
                    voiding.void_unpaid_invoice(session, invoice_id, now)
            if len(unpaid) < _BATCH:
                return

    def reap_keys(self) -> None:
        """Forget idempotency keys that nobody repeats any more."""
        idempotency.reap(self._database)


def register(runner: JobRunner, handlers: Handlers) -> None:
    """Tell the runner what to do for each kind of job."""
    runner.handle(COLLECT, handlers.collect)
    runner.handle(SETTLE, handlers.settle)
    runner.handle(CONFIRM_PREMIUM, handlers.confirm_premium)
    runner.every("23 3 * * *", ISSUE_DUE_INVOICES, handlers.issue_due_invoices)
    runner.every("37 * * * *", VOID_UNPAID_INVOICES, handlers.void_unpaid_invoices)
    runner.every("17 * * * *", REAP_KEYS, handlers.reap_keys)
