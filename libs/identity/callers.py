"""Callers: who they are, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from libs import ids
from libs.errors import Denied, Unauthenticated

BEARER = "Bearer "
"""What a token follows in an `authorization` value."""


class TokenInvalid(Unauthenticated):
    """There is no valid access token."""

    reason = "TOKEN_INVALID"


class AccessDenied(Denied):
    """The caller may not call this method."""

    reason = "ACCESS_DENIED"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. `authorization` is passed on when this call leads to another."""

    user_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    service: str = ""
    authorization: str = ""
    expires_at: float = 0

    subject: str = field(init=False)
    """The caller in one word, for logs and for scoping idempotency keys; made once, as callers are remembered."""

    def __post_init__(self) -> None:
        name = f"service:{self.service}" if self.service else "anonymous"
        object.__setattr__(self, "subject", ids.encode("usr", self.user_id) if self.user_id else name)

    def may_see(self, owner: UUID) -> bool:
        """Whether things of `owner` are shown to this caller: to the owner, to services and to admins."""
        return self.sees_all or self.user_id == owner

    @property
    def sees_all(self) -> bool:
        """Whether everybody's things are shown to this caller. It is no right to act for others."""
        return bool(self.service) or "admin" in self.roles


ANONYMOUS = Caller()
