"""Making customers, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.identity.scopes import Scope
from services.users.accounts.rules.user import User
from services.users.people.flows import linking
from services.users.people.rules import customer
from services.users.people.rules.customer import Customer, CustomerDuplicate
from services.users.people.store import customers


def check_unique(session: Session, new: Customer, scope: Scope) -> None:
    """`CustomerDuplicate` when one of the scope, who came by the same partner, has the tax id.

    Who may not see that one is told nothing of them.
    """
    if new.tax_id is None:
        return
    customers.lock_tax_id(session, new.tax_id.digest)  # two at once would not see each other
    duplicate = customers.find_duplicate(session, scope, new.tax_id.digest, new.partner_id)
    if duplicate is not None:
        raise CustomerDuplicate(customer_id=ids.encode("cus", duplicate.id))


def make(session: Session, new: Customer, for_user: UUID | None, now: datetime) -> None:
    """Save a new customer, and let a user act for them. `PartiesTooMany`."""
    customers.add(session, new)
    audit.record(session, "customer_created", ids.encode("cus", new.id), kind=new.kind.value)
    if for_user is not None:
        linking.link(session, new, for_user, now)


def make_of_user(session: Session, account: User, now: datetime) -> None:
    """Save the customer whom somebody is who buys for themselves, unless there is one.

    The audit log has an entry of the account, and needs none of this.
    """
    if customers.find(session, account.id) is None:
        who = (account.full_name, account.email, account.phone, account.locale)
        customers.add(session, customer.of_user(account.id, *who, now))
