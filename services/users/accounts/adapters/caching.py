"""Keeping users who were read, for `GetUser`. The hash of a password is no part of a `User`, so none is kept.

With Redis, all processes share what is kept. Without it each process keeps its own, and hears of its own changes only:
five minutes are right for one process, and a moment is all that is allowed to several.
"""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from libs import cache
from libs.cache import Cache, InProcess, InRedis
from libs.config import Settings
from libs.redis import Link
from services.users.accounts.rules.user import Role, State, User

NAME = "users"
_PREFIX = "bazaruto:users:user:1:"  # the number changes with the form of what is kept
_A_MOMENT = 2.0  # seconds


def in_process(seconds: float = cache.KEPT) -> Cache[User]:
    """Users kept by this process alone."""
    return _cache(InProcess(seconds))


def in_redis(link: Link) -> Cache[User]:
    """Users kept for all processes together."""
    return _cache(InRedis(link, _PREFIX, encode, decode))


def choose(settings: Settings, link: Link | None) -> Cache[User]:
    """What the configuration allows. In production there may be replicas of which a process knows nothing."""
    if link is not None:
        return in_redis(link)
    alone = settings.services[NAME].workers == 1 and settings.environment != "production"
    return in_process() if alone else in_process(_A_MOMENT)


def encode(user: User) -> bytes:
    """The user as JSON."""
    fields = {
        "id": str(user.id),
        "email": user.email,
        "full_name": user.full_name,
        "phone": user.phone,
        "locale": user.locale,
        "roles": user.roles,
        "state": user.state,
        "created_at": user.created_at.isoformat(),
        "updated_at": user.updated_at.isoformat(),
        "version": user.version,
    }
    return json.dumps(fields).encode()


def decode(text: bytes) -> User:
    """The user of what `encode` made. `ValueError` or `KeyError` for anything else."""
    fields = json.loads(text)
    return User(
        id=UUID(fields["id"]),
        email=fields["email"],
        full_name=fields["full_name"],
        phone=fields["phone"],
        locale=fields["locale"],
        roles=tuple(map(Role, fields["roles"])),
        state=State(fields["state"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        updated_at=datetime.fromisoformat(fields["updated_at"]),
        version=fields["version"],
    )


def _cache(store: InProcess[User] | InRedis[User]) -> Cache[User]:
    return Cache(NAME, store, lambda user: user.version)
