"""Changing what users may change about themselves, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.errors import ConcurrentChange
from services.users.accounts.rules import user
from services.users.accounts.rules.user import User, audited_changes
from services.users.accounts.store import users


def update(session: Session, before: User, changes: Mapping[str, str], now: datetime) -> User:
    """Save the changes, with what was before and is after in the audit log; the very same user when nothing differs.

    `ConcurrentChange` when somebody else changed them since they were read.
    """
    after = user.update(before, changes, now)
    if after is before:
        return before
    if not users.save(session, after):
        raise ConcurrentChange
    old, new = audited_changes(before, after)
    audit.record(session, "user_updated", ids.encode("usr", before.id), before=old, after=new)
    return after
