"""Telling policies of what changed in a customer, in the caller's transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from libs.jobs import defer
from services.users.people.kinds import TELL_PARTNER, TellPartner
from services.users.people.rules.customer import Customer


def of_partner(session: Session, before: Customer, after: Customer) -> None:
    """Defer the job that has the customer's policies served by the new partner; nothing where it is the same one."""
    if after.partner_id == before.partner_id or after.partner_since is None:
        return
    job = TellPartner(after.id, after.version, after.partner_id, after.partner_since)
    defer(session, TELL_PARTNER, job, lock=f"customer:{after.id}")
