"""Telling policies of what changed in a customer, now or on a day to come, in the caller's transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from libs.calendar import start_of
from libs.jobs import defer
from services.users.people.kinds import FOLLOW_PLAN, TELL_PARTNER, FollowPlan, TellPartner
from services.users.people.rules.customer import Customer


def of_partner(session: Session, before: Customer, after: Customer) -> None:
    """Defer the job that has the customer's policies served by the new partner; nothing where it is the same one.

    Of a change that is planned, defer the one that makes it on its day.
    """
    if after.next_partner_since is not None and after.next_partner_since != before.next_partner_since:
        moment = start_of(after.next_partner_since, "UTC")
        defer(session, FOLLOW_PLAN, FollowPlan(after.id), at=moment)
    if after.partner_id == before.partner_id or after.partner_since is None:
        return
    job = TellPartner(after.id, after.version, after.partner_id, after.partner_since)
    defer(session, TELL_PARTNER, job, lock=f"customer:{after.id}")
