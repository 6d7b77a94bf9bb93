"""Letting users act for customers, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ResourceNotFound
from services.users.accounts.rules import user
from services.users.accounts.store import users
from services.users.people.rules import customer
from services.users.people.rules.customer import Customer
from services.users.people.store import links


def link(session: Session, party: Customer, user_id: UUID, now: datetime) -> None:
    """Let a user act for a customer. `ResourceNotFound`, `RoleConflict`, `AlreadyLinked`, `PartiesTooMany`."""
    account = users.lock(session, user_id)  # locked: two links at once could be one too many
    if account is None:
        raise ResourceNotFound(resource="user")
    user.check_acts_for_customers(account)
    customer.check_link(user_id, party.id, links.find_parties(session, user_id))
    links.add(session, user_id, party.id, now)
    audit.record(session, "user_linked", ids.encode("cus", party.id), user_id=ids.encode("usr", user_id))
