"""Callers: who they are, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from libs import ids
from libs.errors import Denied, Unauthenticated
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope

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

    # Made once, as callers are remembered.
    subject: str = field(init=False)
    """The caller in one word, for logs and for scoping idempotency keys."""
    scope: Scope = field(init=False)
    """Whose things are shown to this caller: everybody's to services and admins, to others their own."""

    def __post_init__(self) -> None:
        name = f"service:{self.service}" if self.service else "anonymous"
        object.__setattr__(self, "subject", ids.encode("usr", self.user_id) if self.user_id else name)
        object.__setattr__(self, "scope", self._scope())

    def _scope(self) -> Scope:
        if self.service or "admin" in self.roles:
            return EVERYBODY
        return Of(frozenset({self.user_id})) if self.user_id else NOTHING


ANONYMOUS = Caller()
