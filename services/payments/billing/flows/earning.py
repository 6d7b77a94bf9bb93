"""Earning the premium of policies up to the end of a period: from unearned (2000) to earned (4000)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.money import Money
from services.payments.billing.rules.earning import Earnable, Part, TimelineMissing, earned_by
from services.payments.billing.store import earnings
from services.payments.billing.store.earnings import Earned
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import earning
from services.payments.ledger.rules.journal import Journal, Subject
from services.payments.ledger.rules.period import Period
from services.payments.ledger.store import balances


def prepare(session: Session, policy_ids: Sequence[UUID], period: Period, now: datetime) -> Callable[[UUID], None]:
    """Read what is to be known of policies; gives what earns one of them by its id.

    Booked is what is earned by the end of the period less what account 4000 shows: not what was earned in the period,
    so that what a late change means for months before is made up for. A policy that is earned so far already is left.
    """
    earnings.lock_all(session, policy_ids)
    policies = earnings.find_all(session, policy_ids)
    shown = balances.list_earned(session, policy_ids)

    def earn(policy_id: UUID) -> None:
        known = policies[policy_id]
        if _is_earned(known, period):
            return
        if journal := _of_period(known.policy, shown.get(policy_id, {}), period):
            booking.book(session, journal, now)
        earnings.save(session, [known.policy], period.ends_on)

    return earn


def earn_all(session: Session, policy_ids: Sequence[UUID], period: Period, now: datetime) -> None:
    """Earn policies as `prepare` does, all at once. Whatever is wrong with one of them is raised."""
    earnings.lock_all(session, policy_ids)
    shown = balances.list_earned(session, policy_ids)
    due = [known.policy for known in earnings.find_all(session, policy_ids).values() if not _is_earned(known, period)]
    entered = [_of_period(policy, shown.get(policy.policy_id, {}), period) for policy in due]
    booking.book_new(session, [journal for journal in entered if journal], now)
    earnings.save(session, due, period.ends_on)


def follow_transaction(session: Session, policy_id: UUID, transaction_id: UUID, now: datetime) -> None:
    """Earn a policy anew up to the day that it was earned up to, after a transaction was applied to its locked account.

    So is what a change means for months before booked with the change, and never more is earned than is written. A
    policy that was not earned yet is left to the runs, and one that cannot be is theirs to park.
    """
    if not earnings.lock_all(session, [policy_id]):
        return
    known = earnings.find_all(session, [policy_id])[policy_id]
    if known.until is None:
        return
    shown = balances.list_earned(session, [policy_id]).get(policy_id, {})
    try:
        journal = _journal(known.policy, shown, ids.encode("ptx", transaction_id), known.until)
    except TimelineMissing:
        return
    if journal:
        booking.book(session, journal, now)
    earnings.save(session, [known.policy], known.until)


def _is_earned(known: Earned, period: Period) -> bool:
    return known.until is not None and known.until >= period.ends_on


def _of_period(policy: Earnable, booked: Mapping[Part, Money], period: Period) -> Journal | None:
    """What is to be booked of a policy for a period; None where that is nothing."""
    return _journal(policy, booked, f"{ids.encode('pol', policy.policy_id)}:{period}", period.ends_on)


def _journal(policy: Earnable, booked: Mapping[Part, Money], source_id: str, until: date) -> Journal | None:
    """What is earned by the beginning of a day less what is booked; it counts on the day before."""
    earned, zero = earned_by(policy, until), Money.zero(policy.currency)
    return earning.premium_earned(
        source_id,
        Subject(policy.policy_id, policy.policy_id, None, policy.partner_id),
        until - timedelta(days=1),
        {part: earned.get(part, zero) - booked.get(part, zero) for part in {**booked, **earned}},
    )
