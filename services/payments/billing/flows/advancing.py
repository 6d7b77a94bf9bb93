"""Advancing the delinquency of one account from day to day, each step once and in order, however many days passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.jobs import required
from services.payments.billing.flows import invoicing
from services.payments.billing.flows.dunning import amount_of, save
from services.payments.billing.rules import arrears, delinquency
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.delinquency import Delinquency, Ending, State
from services.payments.billing.rules.dunning import Action, Dunning, Step
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store import accounts, delinquencies, dunning, invoices, product_terms

DAYS_AHEAD = timedelta(hours=14)
"""By how much days begin earlier than in UTC, where they begin first."""

HasOpenPayment = Callable[[Session, UUID], bool]
"""Whether a payment of an account is under way, which may settle what is past due."""


def look_after(session: Session, account_id: UUID, now: datetime, has_open_payment: HasOpenPayment) -> None:
    """Do what is due today of the arrears of an account. Doing it again changes nothing."""
    holder = required(accounts.lock(session, account_id), "billing account", account_id)
    today = day_of(now, holder.time_zone)
    unsettled = invoices.lock_unsettled(session, account_id)
    terms = product_terms.find_of_account(session, account_id)
    late = arrears.dunned(unsettled, today)
    before = delinquencies.lock_open(session, account_id)
    if (before is None and not late) or (late and late[0].term_number not in terms):
        return  # of the latter, quotes is still to be asked
    _note_past_due(session, late, now)
    current = _follow(session, holder, before, late, today, now)
    if current is None or not current.is_open:
        return
    rules = terms[current.term_number].dunning if current.term_number in terms else None
    if current.suspension and current.suspension.until <= today:
        current = _saved(session, current, delinquency.resume(current, rules, today), now)
    if rules is None:
        return
    if current.state is State.PAST_DUE and not current.suspension:
        current = _saved(session, current, delinquency.begin_grace(current, rules), now)
    while (step := delinquency.next_step(current, rules)) and delinquency.day_of_step(current, step) <= today:
        if step.action is Action.LAPSE and has_open_payment(session, account_id):
            save(session, current, delinquency.wait(current, today), now)
            return
        current = _do(session, holder, current, rules, step, late, today, now)


def _follow(
    session: Session,
    holder: Account,
    before: Delinquency | None,
    late: Sequence[Invoice],
    today: date,
    now: datetime,
) -> Delinquency | None:
    """The delinquency that goes with what is past due: a new one, the open one, or none."""
    amount = amount_of(late, holder.currency)
    cover_ends_on = arrears.cover_ends_on(dunning.find_changes(session, holder.id))
    if before is None:
        if cover_ends_on is not None and cover_ends_on <= today:
            return None  # what is owed for a policy that ended has nothing to lapse
        last_version, first = delinquencies.find_last_version(session, holder.id), late[0]
        opened = delinquency.open_for(ids.new(), holder.id, last_version, first.due_on, amount, first.term_number, now)
        return _saved(session, None, opened, now)
    if not amount.minor:
        return _saved(session, before, delinquency.settle(before, Ending.PAID, amount, now), now)
    if before.state in delinquency.BEFORE_LAPSE and delinquency.is_ended(before, cover_ends_on, today):
        return _saved(session, before, delinquency.settle(before, Ending.POLICY_ENDED, amount, now), now)
    return _saved(session, before, delinquency.with_amount(before, amount), now)


def _do(
    session: Session,
    holder: Account,
    current: Delinquency,
    rules: Dunning,
    step: Step,
    late: Sequence[Invoice],
    today: date,
    now: datetime,
) -> Delinquency:
    after = delinquency.do(current, rules, step, today)
    grace_ends_on = after.grace_ends_on or today
    delinquencies.add_step(session, after, step, grace_ends_on, now)
    audit.record(
        session,
        "dunning_step_done",
        ids.encode("dlq", after.id),
        step=step.action,
        day=step.day,
        past_due=after.amount,
        grace_ends_on=grace_ends_on,
        policy_id=ids.encode("pol", holder.id),
        payer_id=ids.encode("cus", holder.payer_id),
    )
    if step.action is Action.RETRY:
        attempt = f"{ids.encode('dlq', after.id)}/{step.number}"
        invoicing.collect_when_due(session, holder, late, now, attempt)
    return _saved(session, current, after, now)


def _note_past_due(session: Session, late: Sequence[Invoice], now: datetime) -> None:
    """Note on invoices, once, that they were not paid in time."""
    seen = set(dunning.save_seen(session, [item.id for item in late], now)) if late else set()
    for unpaid in late:
        if unpaid.id in seen:
            audit.record(
                session,
                "invoice_past_due",
                ids.encode("inv", unpaid.id),
                due_on=unpaid.due_on,
                amount_due=unpaid.amount_due,
                policy_id=ids.encode("pol", unpaid.policy_id),
                user_id=ids.encode("usr", unpaid.user_id),
            )


def _saved(session: Session, before: Delinquency | None, after: Delinquency, now: datetime) -> Delinquency:
    save(session, before, after, now)
    return after
