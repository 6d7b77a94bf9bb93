"""Earning the premium of policies up to the end of a period: from unearned (2000) to earned (4000)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.money import Money
from services.payments.billing.rules.earning import Earnable, Part, earned_by
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
    policies = earnings.find_all(session, policy_ids)
    shown = balances.list_earned(session, policy_ids)

    def earn(policy_id: UUID) -> None:
        known = policies[policy_id]
        if _is_earned(known, period):
            return
        if journal := _journal(known.policy, shown.get(policy_id, {}), period):
            booking.book(session, journal, now)
        earnings.save(session, [known.policy], period.ends_on)

    return earn


def earn_all(session: Session, policy_ids: Sequence[UUID], period: Period, now: datetime) -> None:
    """Earn policies as `prepare` does, all at once. Whatever is wrong with one of them is raised."""
    shown = balances.list_earned(session, policy_ids)
    due = [known.policy for known in earnings.find_all(session, policy_ids).values() if not _is_earned(known, period)]
    entered = [_journal(policy, shown.get(policy.policy_id, {}), period) for policy in due]
    booking.book_new(session, [journal for journal in entered if journal], now)
    earnings.save(session, due, period.ends_on)


def _is_earned(known: Earned, period: Period) -> bool:
    return known.until is not None and known.until >= period.ends_on


def _journal(policy: Earnable, booked: Mapping[Part, Money], period: Period) -> Journal | None:
    """What is to be booked of a policy; None where that is nothing."""
    earned, zero = earned_by(policy, period.ends_on), Money.zero(policy.currency)
    return earning.premium_earned(
        f"{ids.encode('pol', policy.policy_id)}:{period}",
        Subject(policy.policy_id, policy.policy_id, None, policy.partner_id),
        period.last_day,
        {part: earned.get(part, zero) - booked.get(part, zero) for part in {**booked, **earned}},
    )
