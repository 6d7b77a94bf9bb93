"""Saving changes of partners and of their members, in the caller's transaction.

What is taken away from somebody ends their log-ins, so that no token says what is no longer so.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from services.users.accounts.flows import ending
from services.users.accounts.store import users
from services.users.partners.rules import partner
from services.users.partners.rules.partner import Partner, audited, audited_changes
from services.users.partners.store import members, partners


def lock(session: Session, partner_id: UUID) -> Partner:
    """The partner, kept from other changes. `ResourceNotFound`."""
    locked = partners.lock(session, partner_id)
    if locked is None:
        raise ResourceNotFound(resource="partner")
    return locked


def make(session: Session, new: Partner) -> None:
    """Save a new partner."""
    partners.add(session, new)
    audit.record(session, "partner_created", ids.encode("par", new.id), after=audited(new))


def save(session: Session, action: str, before: Partner, after: Partner) -> None:
    """Save a partner with what changed; nothing when nothing did."""
    if after is before:
        return
    partners.save(session, after)
    if before.sells - after.sells:
        for user_id in members.list_members(session, after.id):
            ending.end_all(session, user_id)
    old, new = audited_changes(before, after)
    audit.record(session, action, ids.encode("par", after.id), before=old, after=new)


def add_member(session: Session, of: Partner, user_id: UUID, now: datetime) -> None:
    """Make a user a member of a partner that is locked. `ResourceNotFound`, `RoleMissing`, `MemberAlready`."""
    account = users.lock(session, user_id)
    if account is None:
        raise ResourceNotFound(resource="user")
    partner.check_member(account, members.find_partner(session, user_id))
    members.add(session, of.id, user_id, now)
    audit.record(session, "member_added", ids.encode("par", of.id), user_id=ids.encode("usr", user_id))


def remove_member(session: Session, of: Partner, user_id: UUID) -> None:
    """End a user's membership of a partner that is locked. `ResourceNotFound`."""
    ending.end_all(session, user_id)
    if not members.delete(session, of.id, user_id):
        raise ResourceNotFound(resource="member")
    audit.record(session, "member_removed", ids.encode("par", of.id), user_id=ids.encode("usr", user_id))
