"""What follows from an issued policy, in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from libs import ids
from libs.db import Database
from libs.jobs import JobRunner, required
from libs.rpc import giving_up, idempotency
from libs.rpc.errors import RemoteError
from services.policies.clients import Payments, Quotes
from services.policies.lifecycle.flows import billing, dating
from services.policies.lifecycle.kinds import (
    APPLY_TRANSACTION,
    BIND_QUOTE,
    OPEN_BILLING,
    REAP_KEYS,
    WRITE_TIMELINES,
    ApplyTransaction,
    BindQuote,
    OpenBilling,
)
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import payment_methods, policies, timelines, transactions

log = structlog.get_logger("policies")

_BATCH = 100  # policies of before that are listed at once


class TimelinesMissing(RuntimeError):
    """Policies of before could not be given a timeline."""


class Handlers:
    """What to do for each kind of job."""

    def __init__(self, database: Database, quotes: Quotes, payments: Payments) -> None:
        self._database = database
        self._quotes = quotes
        self._payments = payments

    def apply_transaction(self, job: ApplyTransaction) -> None:
        """Have payments bill and book what a transaction changes, and forget the token for the first premium.

        Out of order, it is refused and tried again: the one before it is on its way.
        """
        with self._database.reading(fresh=True) as session:
            transaction = required(
                transactions.find(session, job.policy_id, job.transaction_id), "transaction", job.transaction_id
            )
            policy = required(
                policies.find_at_sequence(session, job.policy_id, transaction.sequence), "policy", job.policy_id
            )
            written = timelines.find_written(session, transaction.id)
            token = payment_methods.find(session, policy.id)
        terms = [term for term in policy.terms if term.number in written]
        settlement = billing.settlement_of(job, policy.terms[0].currency)
        with giving_up.when_refused():
            self._payments.apply_transaction(
                policy, transaction, terms, settlement, job.installments, token, job.method_id
            )
        if token:
            with self._database.transaction() as session:
                payment_methods.delete(session, policy.id)

    def open_billing(self, job: OpenBilling) -> None:
        """Have payments bill the policy, and forget the token for the first premium."""
        policy = self._find(job.policy_id)
        with self._database.reading() as session:
            first = transactions.list_behind(session, policy.id, 0, 1)[0]
            token = payment_methods.find(session, policy.id) or job.payment_method
        with giving_up.when_refused():
            self._payments.open_billing(policy, first, job.installments, token)
        with self._database.transaction() as session:
            payment_methods.delete(session, policy.id)

    def bind_quote(self, job: BindQuote) -> None:
        """Tell quotes by which transaction a quote was taken."""
        policy = self._find(job.policy_id)
        with self._database.reading() as session:
            if job.transaction_id is None:
                transaction = transactions.list_behind(session, policy.id, 0, 1)[0]
            else:
                asked = transactions.find(session, policy.id, job.transaction_id)
                transaction = required(asked, "transaction", job.transaction_id)
        with giving_up.when_refused():
            self._quotes.bind_quote(policy, transaction)

    def write_timelines(self) -> None:
        """Write the timelines of policies of before. One that cannot be written is passed over, and told of."""
        after, failed = UUID(int=0), 0
        while batch := self._without_timeline(after):
            for policy_id in batch:
                try:
                    quote = self._quotes.get_quote(ids.encode("quo", self._find(policy_id).quote_id))
                    with self._database.transaction() as session:
                        dating.write_timeline(session, policy_id, quote)
                except (RemoteError, dating.PremiumDiffers) as error:
                    failed += 1
                    log.error("timeline not written", policy_id=ids.encode("pol", policy_id), reason=str(error))
            after = batch[-1]
        if failed:
            raise TimelinesMissing(f"{failed} policies of before have no timeline yet; the log names them")

    def _without_timeline(self, after: UUID) -> Sequence[UUID]:
        with self._database.reading(fresh=True) as session:
            return policies.list_without_timeline(session, after, _BATCH)

    def _find(self, policy_id: UUID) -> Policy:
        with self._database.reading() as session:
            return required(policies.find(session, policy_id), "policy", policy_id)


def register(runner: JobRunner, database: Database, quotes: Quotes, payments: Payments) -> None:
    """Tell the runner what to do for each kind of job."""
    handlers = Handlers(database, quotes, payments)
    runner.handle(APPLY_TRANSACTION, handlers.apply_transaction)
    runner.handle(OPEN_BILLING, handlers.open_billing)
    runner.handle(BIND_QUOTE, handlers.bind_quote)
    runner.every("* * * * *", WRITE_TIMELINES, handlers.write_timelines)
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))
