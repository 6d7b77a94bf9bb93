"""Giving rights to users and taking them away, in the caller's transaction.

A user's log-ins end with every change of their rights, so that no token says what is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, clock, ids
from libs.errors import ResourceNotFound
from services.users.accounts.flows import ending
from services.users.accounts.rules import authority, user
from services.users.accounts.rules.authority import Authority
from services.users.accounts.rules.user import Role, User, audited_changes
from services.users.accounts.store import authorities, users


def grant(session: Session, user_id: UUID, role: Role, by: UUID | None, now: datetime) -> User:
    """Give a role. `ResourceNotFound`, `RoleConflict`."""
    before = _lock(session, user_id)
    return _saved(session, "role_granted", before, user.grant(before, role, by, now))


def revoke(session: Session, user_id: UUID, role: Role, now: datetime) -> User:
    """Take a role away, with what only it allowed. `ResourceNotFound`, `LastAdmin`."""
    admins = users.lock_admins(session) if role is Role.ADMIN else ()
    before = _lock(session, user_id)
    after = _saved(session, "role_revoked", before, user.revoke(before, role, admins, now))
    limits = authorities.find(session, user_id)
    left = authority.without_roles(limits, after, clock.real_now())
    if left is not limits:
        _save_authority(session, limits, left)
    return after


def disable(session: Session, user_id: UUID, now: datetime) -> User:
    """Keep somebody from logging in. `ResourceNotFound`, `LastAdmin`."""
    admins = users.lock_admins(session)
    before = _lock(session, user_id)
    return _saved(session, "user_disabled", before, user.disable(before, admins, now))


def enable(session: Session, user_id: UUID, now: datetime) -> User:
    """Let somebody log in again. `ResourceNotFound`."""
    before = _lock(session, user_id)
    return _saved(session, "user_enabled", before, user.enable(before, now))


def set_authority(session: Session, new: Authority, by: UUID | None, check: Callable[[Authority], None]) -> Authority:
    """Say how far somebody may decide alone; `check` is shown what was before, and may refuse.

    `ResourceNotFound`, `RoleMissing`, `RoleConflict`, `FieldInvalid`.
    """
    account = _lock(session, new.user_id)
    before = authorities.find(session, account.id)
    check(before)
    after = authority.set_by(by, account, before, new, clock.real_now())
    _save_authority(session, before, after)
    ending.end_all(session, account.id)
    return after


def _lock(session: Session, user_id: UUID) -> User:
    account = users.lock(session, user_id)
    if account is None:
        raise ResourceNotFound(resource="user")
    return account


def _saved(session: Session, action: str, before: User, after: User) -> User:
    """Save a change of rights, if it is one."""
    if after is before:
        return before
    users.save(session, after)  # it is locked
    ending.end_all(session, after.id)
    old, new = audited_changes(before, after)
    audit.record(session, action, ids.encode("usr", after.id), before=old, after=new)
    return after


def _save_authority(session: Session, before: Authority, after: Authority) -> None:
    authorities.save(session, after)
    user_id = ids.encode("usr", after.user_id)
    audit.record(session, "authority_set", user_id, before=authority.audited(before), after=authority.audited(after))
