"""Saving what an account's owner changed, with its entry in the audit log, in the caller's transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ConcurrentChange
from services.users.accounts.flows.registering import audited
from services.users.accounts.rules.user import User
from services.users.accounts.store import users


def save(session: Session, before: User, after: User) -> None:
    """Save a changed user. `ConcurrentChange` when somebody else changed them since `before` was read."""
    if not users.change_user(session, after):
        raise ConcurrentChange
    old, new = audited(before), audited(after)
    names = [name for name in new if new[name] != old[name]]
    audit.record(
        session,
        "user_updated",
        ids.encode("usr", after.id),
        before={name: old[name] for name in names},
        after={name: new[name] for name in names},
    )
