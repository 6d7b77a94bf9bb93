"""The nightly run of dunning, and telling policies what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner, required
from libs.jobs.nightly import Batched, Night, Run
from libs.rpc import giving_up
from services.payments.billing.flows import advancing, dunning
from services.payments.billing.flows.advancing import HasOpenPayment
from services.payments.billing.kinds import (
    LAPSE_POLICY,
    LEARN_PRODUCT_TERMS,
    RUN_DUNNING,
    TELL_DELINQUENCY,
    LapsePolicy,
    TellDelinquency,
)
from services.payments.billing.rules.delinquency import State
from services.payments.billing.store import accounts, delinquencies, product_terms
from services.payments.billing.store import dunning as due
from services.payments.clients import Policies, Quotes

_BATCH = 10  # accounts whose payers wait while the batch is at work

log = structlog.get_logger("jobs")


class Handlers:
    """What to do for each kind of job."""

    def __init__(
        self, database: Database, policies: Policies, quotes: Quotes, has_open_payment: HasOpenPayment
    ) -> None:
        self._database = database
        self._policies = policies
        self._quotes = quotes
        self._has_open_payment = has_open_payment

    def learn_product_terms(self) -> None:
        """Ask quotes, once for each version of a product, what it says of premium that is not paid."""
        with self._database.reading(fresh=True) as session:
            unknown = product_terms.find_unknown(session)
        for code, version in unknown:
            terms = self._quotes.terms_of(code, version)
            with self._database.transaction() as session:
                product_terms.add(session, terms)

    def prepare(self, session: Session, account_ids: Sequence[UUID], night: Night) -> Callable[[UUID], None]:
        """Lock accounts and read of them; gives what does what is due of the arrears of one of them."""
        return advancing.prepare(session, account_ids, night.now, self._has_open_payment)

    def tell_delinquency(self, job: TellDelinquency) -> None:
        """Tell policies how a delinquency stands; of several steps, only the last one is told."""
        with self._database.reading(fresh=True) as session:
            known = required(delinquencies.find(session, job.delinquency_id), "delinquency", job.delinquency_id)
        if known.delinquency.version == job.version:
            with giving_up.when_refused():
                self._policies.record_delinquency(known.delinquency)

    def lapse_policy(self, job: LapsePolicy) -> None:
        """Have a policy lapse whose grace is over. What follows for its billing comes back as a transaction."""
        with self._database.reading(fresh=True) as session:
            known = required(delinquencies.find(session, job.delinquency_id), "delinquency", job.delinquency_id)
        if known.delinquency.state is not State.LAPSING:
            return
        with giving_up.when_refused():
            is_lapsed = self._policies.lapse_policy(known.delinquency)
        log.info("policy lapsed", delinquency_id=str(job.delinquency_id), is_lapsed=is_lapsed)
        if not is_lapsed:
            with self._database.transaction() as session:
                accounts.lock(session, known.delinquency.account_id)
                dunning.end_unneeded(session, known.delinquency, clock.now())


def register(runner: JobRunner, handlers: Handlers, database: Database) -> None:
    """Tell the runner what to do for each kind of job."""
    runner.daily(LEARN_PRODUCT_TERMS, handlers.learn_product_terms)
    runner.nightly(database, Run(RUN_DUNNING, list_due, count_due, Batched(handlers.prepare), _BATCH))
    runner.handle(TELL_DELINQUENCY, handlers.tell_delinquency)
    runner.handle(LAPSE_POLICY, handlers.lapse_policy)


def list_due(session: Session, night: Night, after: UUID, limit: int) -> Sequence[UUID]:
    """The accounts that the run looks after, behind `after`."""
    return due.list_due(session, _latest_day(night), after, limit)


def count_due(session: Session, night: Night) -> int:
    """About how many that are."""
    return due.find_due_count(session, _latest_day(night))


def _latest_day(night: Night) -> date:
    """The day that it is where days begin first; what is due of an account is decided by its own day."""
    return (night.at + advancing.DAYS_AHEAD).date()
