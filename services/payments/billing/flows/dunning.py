"""Following what is past due of a policy: what money and transactions change of its delinquency.

An account, its unsettled invoices and its delinquency are locked in this order. Every step raises the version of the
delinquency, and a job tells policies of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.errors import ConcurrentChange
from libs.jobs import required
from libs.money import Money, total
from services.payments.billing.flows.course import Course
from services.payments.billing.rules import arrears, delinquency
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.delinquency import Delinquency, Ending, State
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.rules.transaction import Kind, Transaction
from services.payments.billing.store import accounts, delinquencies, dunning, invoices, schedules


def follow_money(session: Session, account_id: UUID, now: datetime) -> None:
    """Follow a payment or a credit: a delinquency ends when all that is past due is paid."""
    before = delinquencies.lock_open(session, account_id)
    if before is None:
        return
    holder = required(accounts.find(session, account_id), "billing account", account_id)
    amount = past_due(session, holder, day_of(now, holder.time_zone))
    _follow_amount(session, before, amount, now)


def follow_transaction(session: Session, change: Transaction, now: datetime) -> None:
    """Follow a transaction of a policy, after it was applied to the locked account."""
    account_id, today = change.policy_id, day_of(now, change.time_zone)
    before = delinquencies.lock_open(session, account_id)
    if change.kind in (Kind.REINSTATEMENT, Kind.REVERSAL):
        _follow_return(session, change, before, today, now)
        return
    if before is None:
        return
    holder = required(accounts.find(session, account_id), "billing account", account_id)
    amount = past_due(session, holder, today)
    if change.kind is Kind.LAPSE and before.state is not State.LAPSED:
        lapsed = delinquency.with_amount(delinquency.lapsed(before), amount)
        save(session, before, lapsed)
        _follow_amount(session, lapsed, amount, now)
    elif before.state is not State.LAPSED and _is_over(session, before, today):
        save(session, before, delinquency.settle(before, Ending.POLICY_ENDED, amount, now))
    else:
        _follow_amount(session, before, amount, now)


def end_unneeded(session: Session, asked: Delinquency, now: datetime) -> None:
    """End a delinquency for which there is nothing to lapse: policies says that the policy ended otherwise.

    `ConcurrentChange` when it is not the one that policies was asked about: it may have been the version only that
    policies knew better.
    """
    known = required(delinquencies.lock(session, asked.id), "delinquency", asked.id)
    before = known.delinquency
    if before.state is not State.LAPSING:
        return
    if before.version != asked.version:
        raise ConcurrentChange
    save(session, before, delinquency.settle(before, Ending.POLICY_ENDED, before.amount, now))


def save(session: Session, before: Delinquency, after: Delinquency) -> None:
    """Save a step of a delinquency, and have policies told of it. Nothing where it is the very same one."""
    course = Course(before)
    course.take(after)
    course.save(session)


def past_due(session: Session, holder: Account, today: date) -> Money:
    """What is past due of an account, of what is dunned."""
    return amount_of(arrears.dunned(invoices.find_unsettled(session, holder.id), today), holder.currency)


def amount_of(unpaid: Sequence[Invoice], currency: str) -> Money:
    """What is still to be paid of invoices."""
    return total((item.amount_due for item in unpaid), currency)


def _follow_amount(session: Session, before: Delinquency, amount: Money, now: datetime) -> None:
    if amount.minor:
        save(session, before, delinquency.with_amount(before, amount))
    else:
        save(session, before, delinquency.settle(before, Ending.PAID, amount, now))


def _follow_return(
    session: Session, change: Transaction, before: Delinquency | None, today: date, now: datetime
) -> None:
    """Follow a transaction that puts a policy back, or takes another one back.

    What is past due and was not paid for it is due with the next invoice: a policy that was just put back does not
    lapse for what nobody knew of.
    """
    holder = required(accounts.find(session, change.policy_id), "billing account", change.policy_id)
    if change.kind is Kind.REVERSAL and (before is None or before.state is not State.LAPSED):
        dunning.save_not_seen(session, holder.id)  # an end that is taken back: the run looks at its arrears again
        if before is not None:
            _follow_amount(session, before, past_due(session, holder, today), now)
        return
    late = arrears.past_due(invoices.lock_unsettled(session, holder.id), today)
    if late:
        planned = schedules.list_planned(session, holder.id)
        due_on = max(planned[0].installment.due_on, today) if planned else today
        dunning.save_due_date(session, [item.id for item in late], due_on)
        audit.record(
            session,
            "invoices_deferred",
            ids.encode("bac", holder.id),
            before={"due_on": late[0].due_on, "amount": amount_of(late, holder.currency)},
            after={"due_on": due_on},
            transaction_id=ids.encode("ptx", change.id),
            arrears_seen=change.arrears_seen,
        )
    if before is not None:
        ended = delinquency.settle(before, Ending.REINSTATED, Money.zero(holder.currency), now)
        save(session, before, ended)


def _is_over(session: Session, current: Delinquency, today: date) -> bool:
    changes = dunning.find_changes(session, [current.account_id])[current.account_id]
    return delinquency.is_ended(current, arrears.cover_ends_on(changes), today)
