"""What collection does in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from libs import clock, ids
from libs.db import Database
from libs.jobs import GiveUp, JobRunner, required
from libs.rpc import giving_up
from libs.rpc.errors import NeighbourUnavailable, RemoteError
from services.payments.billing.flows import invoicing
from services.payments.billing.kinds import (
    COLLECT,
    CONFIRM_CREDIT,
    RELEASE_REFUND,
    Collect,
    ConfirmCredit,
    ReleaseRefund,
)
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store import delinquencies, invoices
from services.payments.clients import Policies
from services.payments.collection.flows import collecting, confirming, refunding
from services.payments.collection.kinds import (
    CLOSE_UNPAID_POLICIES,
    CONFIRM_PREMIUM,
    SETTLE,
    SETTLE_REFUND,
    ConfirmPremium,
    Settle,
    SettleRefund,
)
from services.payments.collection.rules import payment
from services.payments.collection.rules.payment import State
from services.payments.collection.rules.provider import Provider
from services.payments.collection.store import payments

_BATCH = 100

log = structlog.get_logger("jobs")


class Handlers:
    """What to do for each kind of job."""

    def __init__(self, database: Database, provider: Provider, policies: Policies) -> None:
        self._database = database
        self._provider = provider
        self._policies = policies

    def collect(self, job: Collect) -> None:
        """Collect an invoice with the payment method of its account: the first one with the token that the policyholder
        gave when buying, however late it becomes; others only where the payer wants it, when they fall due.

        When an earlier run of this job died on the way, its payment is under way: this one fails with
        `PaymentInProgress` and is tried again, until that payment has come to its end. Another payment is begun only
        when that one was given up before any money moved.
        """
        now = clock.now()
        with self._database.transaction() as session:
            first = required(invoices.lock(session, job.invoice_id), "invoice", job.invoice_id)
            # A run before this one may have died after the provider said no: the card is not asked a second time.
            # What came too late for cover to begin is not collected, unless that was agreed on with the contract.
            is_late = bool(first.payable_until and now >= first.payable_until and not first.is_first)
            is_over = (
                is_late
                or first.state not in invoice.UNSETTLED
                or payments.find_declined(session, first.id, job.attempt)
            )
            token = None if is_over else collecting.token_of(session, first)
            if token is None:
                invoicing.forget_token(session, first.policy_id)
                return
            if delinquencies.find_is_lapsing(session, first.policy_id):
                return  # what is owed behind the lapse is another amount, which the payer sees first
            processing = collecting.begin(
                session, first, None, self._provider.name, now, agreed_before=True, attempt=job.attempt
            )
        outcome = collecting.charge(self._provider, processing, token)
        with self._database.transaction() as session:
            recorded = collecting.record(session, processing.id, outcome, clock.now())
            # Until it is known whether money moved, the payment may be begun again, with the token.
            if recorded.state in (State.SUCCEEDED, State.DECLINED):
                invoicing.forget_token(session, first.policy_id)
        # Not an error of the job: the policyholder sees it, and pays in another way.
        if refusal := payment.refusal(recorded, outcome):
            log.info("first premium not collected", invoice_id=str(job.invoice_id), reason=refusal.reason)

    def settle(self, job: Settle) -> None:
        """Find out what became of a payment, if nobody did before."""
        collecting.settle(self._database, self._provider, job.payment_id, job.attempt, clock.now())

    def release_refund(self, job: ReleaseRefund) -> None:
        """Send a refund whose day has come."""
        refunding.release(self._database, self._provider, job.refund_id, clock.now())

    def settle_refund(self, job: SettleRefund) -> None:
        """Find out what became of a part of a refund, and whether one that arrived came back."""
        refunding.settle(self._database, self._provider, job.part_id, job.attempt, clock.now())

    def confirm_premium(self, job: ConfirmPremium) -> None:
        """Tell policies that the first premium is paid. Where the term has ended by then, its ending decides."""
        with self._database.reading() as session:
            paid = required(payments.find(session, job.payment_id), "payment", job.payment_id)
            first = required(invoices.find(session, paid.invoice_id), "invoice", paid.invoice_id)
        if paid.completed_at is None:
            raise GiveUp(f"the payment {job.payment_id} has not come to its end")
        self._begin_cover(first, paid.completed_at, self._policies.activate_policy, paid.id)

    def confirm_credit(self, job: ConfirmCredit) -> None:
        """Tell policies that a first premium is paid, which credit of the account has settled."""
        with self._database.reading() as session:
            first = required(invoices.find(session, job.invoice_id), "invoice", job.invoice_id)
        if first.paid_at is None:
            raise GiveUp(f"the invoice {job.invoice_id} is not paid")
        self._begin_cover(first, first.paid_at, self._policies.activate_settled, first.id)

    def _begin_cover(
        self, first: Invoice, paid_at: datetime, activate: Callable[[UUID, UUID, datetime, int], None], source: UUID
    ) -> None:
        """Have cover of a term begin, of which `source` paid the first premium, unless the term has ended."""
        with giving_up.when_refused():
            try:
                activate(first.policy_id, source, paid_at, first.term_number)
            except RemoteError as error:
                if error.remote_reason != "POLICY_STATE_INVALID":
                    raise
                with self._database.transaction() as session:
                    if not confirming.leave_to_ending(session, first, paid_at, clock.now()):
                        raise
                log.info("premium of a term that ended", invoice_id=ids.encode("inv", first.id))

    def close_unpaid_policies(self) -> None:
        """Have policies closed whose first premium was not paid in time; their transactions then void the invoices.

        One that policies refuses now, or cannot be asked for, is asked for again the next time.
        """
        now, after = clock.now(), UUID(int=0)
        while True:
            with self._database.reading() as session:
                unpaid = payments.list_unpaid(session, now, after, _BATCH)
            for late in unpaid:
                try:
                    closed = self._policies.close_not_taken(late.policy_id, late.invoice_id, late.term_number)
                except (RemoteError, NeighbourUnavailable) as error:
                    log.warning("policy not closed", invoice_id=str(late.invoice_id), error=error.message)
                else:
                    log.info("policy not paid in time", invoice_id=str(late.invoice_id), closed=closed)
            if len(unpaid) < _BATCH:
                return
            after = unpaid[-1].invoice_id


def register(runner: JobRunner, handlers: Handlers) -> None:
    """Tell the runner what to do for each kind of job."""
    runner.handle(COLLECT, handlers.collect)
    runner.handle(SETTLE, handlers.settle)
    runner.handle(RELEASE_REFUND, handlers.release_refund)
    runner.handle(SETTLE_REFUND, handlers.settle_refund)
    runner.handle(CONFIRM_PREMIUM, handlers.confirm_premium)
    runner.handle(CONFIRM_CREDIT, handlers.confirm_credit)
    runner.daily(CLOSE_UNPAID_POLICIES, handlers.close_unpaid_policies)
