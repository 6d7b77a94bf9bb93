"""Earning the premium of policies up to the end of a period: from unearned (2000) to earned (4000)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.money import Money
from services.payments.billing.rules.earning import earned_by
from services.payments.billing.store import earnings
from services.payments.ledger.flows import booking
from services.payments.ledger.rules import earning
from services.payments.ledger.rules.journal import Subject
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
        policy = known.policy
        if known.until is not None and known.until >= period.ends_on:
            return
        earned, booked = earned_by(policy, period.ends_on), shown.get(policy_id, {})
        zero = Money.zero(policy.currency)
        changes = {part: earned.get(part, zero) - booked.get(part, zero) for part in {**booked, **earned}}
        journal = earning.premium_earned(
            f"{ids.encode('pol', policy_id)}:{period}",
            Subject(policy_id, policy_id, None, policy.partner_id),
            period.last_day,
            changes,
        )
        if journal:
            booking.book(session, journal, now)
        earnings.save(session, policy, period.ends_on)

    return earn
