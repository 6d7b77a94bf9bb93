"""What billing does in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner
from libs.jobs.nightly import Asked, Batched, Night, Run
from libs.rpc import idempotency
from services.payments.billing.flows import earning, invoicing, reconciling, refunding
from services.payments.billing.flows.reconciling import SumWritten
from services.payments.billing.kinds import ISSUE_DUE_INVOICES, REAP_KEYS, RECONCILE, REFUND_CREDIT, RefundCredit
from services.payments.billing.rules import invoice
from services.payments.billing.store import accounts, earnings, schedules
from services.payments.ledger.kinds import EARN_PERIOD, RUN_EARNING, RunEarning
from services.payments.ledger.rules.period import Period

_BATCH = 100
_EARNED_AT_ONCE = 500
_COMPARED_AT_ONCE = 200


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do when."""
    runner.daily(ISSUE_DUE_INVOICES, lambda: issue_due_invoices(database, clock.now()))
    runner.handle(REFUND_CREDIT, lambda job: refund_credit(database, job, clock.now()))
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))
    work = Batched(prepare_earning, earn_together)
    runner.nightly(database, Run(EARN_PERIOD, list_unearned, count_unearned, work, _EARNED_AT_ONCE))
    by_hand = Run(RUN_EARNING, list_unearned, count_unearned, work, _EARNED_AT_ONCE)
    runner.sweep(database, by_hand, night_of_period)


def refund_credit(database: Database, job: RefundCredit, now: datetime) -> None:
    """Pay out what came to an account after its policy ended: a payment that was under way then."""
    with database.transaction() as session:
        refunding.pay_out_credit(session, job.account_id, now)


def register_reconciling(runner: JobRunner, database: Database, sum_written: SumWritten) -> None:
    """Have what policies says of its contracts compared every night with what was billed and booked."""

    def ask(after: UUID, limit: int, night: Night) -> dict[UUID, Any]:
        return reconciling.compare(database, sum_written, after, limit, night.now)

    def save(session: Session, policy_id: UUID, compared: Any, night: Night) -> None:
        reconciling.save_all(session, {policy_id: compared}, night.now)

    def save_together(session: Session, compared: Mapping[UUID, Any], night: Night) -> None:
        reconciling.save_all(session, compared, night.now)

    work = Asked(ask, save, save_together)
    runner.nightly(database, Run(RECONCILE, None, count_accounts, work, _COMPARED_AT_ONCE))


def count_accounts(session: Session, night: Night) -> int:
    """How many policies are billed."""
    return accounts.find_count(session)


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


def night_of_period(job: RunEarning) -> Night:
    """The run that was asked for: its moment is the end of the period."""
    ends_at = datetime.combine(Period.parse(job.period).ends_on, time.min, UTC)
    return Night(f"{job.period}, asked for at {job.asked_at}", ends_at, clock.now())


def list_unearned(session: Session, night: Night, after: UUID, limit: int) -> Sequence[UUID]:
    """Policies that are not earned up to the end of the last period that was over by a run's moment."""
    return earnings.list_unearned(session, _period_of(night).ends_on, after, limit)


def count_unearned(session: Session, night: Night) -> int:
    """How many policies `list_unearned` will give."""
    return earnings.find_unearned_count(session, _period_of(night).ends_on)


def prepare_earning(session: Session, policy_ids: Sequence[UUID], night: Night) -> Callable[[UUID], None]:
    """Read what is to be known of policies; gives what earns one of them up to the end of the period."""
    return earning.prepare(session, policy_ids, _period_of(night), night.now)


def earn_together(session: Session, policy_ids: Sequence[UUID], night: Night) -> None:
    """Earn policies up to the end of the period, all at once."""
    earning.earn_all(session, policy_ids, _period_of(night), night.now)


def _period_of(night: Night) -> Period:
    return Period.last_ended(night.at.date())
