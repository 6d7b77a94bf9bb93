"""Advancing delinquencies of accounts from day to day, each step once and in order, however many days passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.calendar import day_of
from libs.jobs import required
from services.payments.billing.flows import invoicing
from services.payments.billing.flows.course import Course
from services.payments.billing.flows.dunning import amount_of
from services.payments.billing.rules import arrears, delinquency
from services.payments.billing.rules.account import Account
from services.payments.billing.rules.arrears import Change
from services.payments.billing.rules.delinquency import Delinquency, Ending, State
from services.payments.billing.rules.dunning import Action, Done, Dunning, ProductTerms, Step
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store import accounts, delinquencies, dunning, invoices, product_terms

DAYS_AHEAD = timedelta(hours=14)
"""By how much days begin earlier than in UTC, where they begin first."""

HasOpenPayment = Callable[[Session, UUID], bool]
"""Whether a payment of an account is under way, which may settle what is past due."""


@dataclass(frozen=True, slots=True)
class Arrears:
    """An account, with what is to be known of what is past due of it."""

    holder: Account
    unsettled: Sequence[Invoice]
    terms: Mapping[int, ProductTerms]
    current: Delinquency | None
    last_version: int
    changes: Sequence[Change]


def prepare(
    session: Session, account_ids: Sequence[UUID], now: datetime, has_open_payment: HasOpenPayment
) -> Callable[[UUID], None]:
    """Lock accounts, their unsettled invoices and their delinquencies, and read what else is to be known of them.

    Gives what does all that is due today of the arrears of one of them. Doing it again changes nothing.
    """
    holders = accounts.lock_all(session, account_ids)
    unsettled = invoices.lock_unsettled_of_all(session, account_ids)
    terms = product_terms.find_of_accounts(session, account_ids)
    currents = delinquencies.lock_open_of_all(session, account_ids)
    last_versions = delinquencies.find_last_versions(session, account_ids)
    changes = dunning.find_changes(session, account_ids)

    def look_after(account_id: UUID) -> None:
        known = Arrears(
            required(holders.get(account_id), "billing account", account_id),
            unsettled[account_id],
            terms[account_id],
            currents.get(account_id),
            last_versions.get(account_id, 0),
            changes[account_id],
        )
        course = Course(known.current)
        _look_after(session, known, course, now, has_open_payment)
        course.save(session)

    return look_after


def _look_after(
    session: Session, known: Arrears, course: Course, now: datetime, has_open_payment: HasOpenPayment
) -> None:
    holder, terms = known.holder, known.terms
    today = day_of(now, holder.time_zone)
    late = arrears.dunned(known.unsettled, today)
    if (known.current is None and not late) or (late and late[0].term_number not in terms):
        return  # of the latter, quotes is still to be asked
    _note_past_due(session, course, late, now)
    current = _follow(known, course, late, today, now)
    if current is None or not current.is_open:
        return
    rules = terms[current.term_number].dunning if current.term_number in terms else None
    if current.suspension and current.suspension.until <= today:
        current = course.take(delinquency.resume(current, rules, today))
    if rules is None:
        return
    if current.state is State.PAST_DUE and not current.suspension:
        current = course.take(delinquency.begin_grace(current, rules))
    while (step := delinquency.next_step(current, rules)) and delinquency.day_of_step(current, step) <= today:
        if step.action is Action.LAPSE and has_open_payment(session, holder.id):
            course.take(delinquency.wait(current, today))
            return
        current = _do(session, holder, course, current, rules, step, late, today, now)


def _follow(known: Arrears, course: Course, late: Sequence[Invoice], today: date, now: datetime) -> Delinquency | None:
    """The delinquency that goes with what is past due: a new one, the open one, or none."""
    holder, before = known.holder, known.current
    amount = amount_of(late, holder.currency)
    cover_ends_on = arrears.cover_ends_on(known.changes)
    if before is None:
        if cover_ends_on is not None and cover_ends_on <= today:
            return None  # what is owed for a policy that ended has nothing to lapse
        first = late[0]
        return course.take(
            delinquency.open_for(ids.new(), holder.id, known.last_version, first.due_on, amount, first.term_number, now)
        )
    if not amount.minor:
        return course.take(delinquency.settle(before, Ending.PAID, amount, now))
    if before.state in delinquency.BEFORE_LAPSE and delinquency.is_ended(before, cover_ends_on, today):
        return course.take(delinquency.settle(before, Ending.POLICY_ENDED, amount, now))
    return course.take(delinquency.with_amount(before, amount))


def _do(
    session: Session,
    holder: Account,
    course: Course,
    current: Delinquency,
    rules: Dunning,
    step: Step,
    late: Sequence[Invoice],
    today: date,
    now: datetime,
) -> Delinquency:
    after = delinquency.do(current, rules, step, today)
    grace_ends_on = after.grace_ends_on or today
    course.do(Done(step.number, step.action, step.day, after.amount.minor, grace_ends_on, now))
    details: dict[str, object] = {
        "step": step.action,
        "day": step.day,
        "past_due": after.amount,
        "grace_ends_on": grace_ends_on,
        "policy_id": ids.encode("pol", holder.id),
        "payer_id": ids.encode("cus", holder.payer_id),
    }
    course.note(audit.Entry("dunning_step_done", ids.encode("dlq", after.id), details))
    if step.action is Action.RETRY:
        attempt = f"{ids.encode('dlq', after.id)}/{step.number}"
        invoicing.collect_when_due(session, holder, late, now, attempt)
    return course.take(after)


def _note_past_due(session: Session, course: Course, late: Sequence[Invoice], now: datetime) -> None:
    """Note on invoices, once, that they were not paid in time."""
    seen = set(dunning.save_seen(session, [item.id for item in late], now)) if late else set()
    for unpaid in late:
        if unpaid.id in seen:
            details: dict[str, object] = {
                "due_on": unpaid.due_on,
                "amount_due": unpaid.amount_due,
                "policy_id": ids.encode("pol", unpaid.policy_id),
                "user_id": ids.encode("usr", unpaid.user_id),
            }
            course.note(audit.Entry("invoice_past_due", ids.encode("inv", unpaid.id), details))
