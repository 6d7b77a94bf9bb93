"""Callers: who they are, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from libs import ids
from libs.errors import Denied, Unauthenticated
from libs.identity.authority import NO_AUTHORITY, Authority
from libs.identity.scopes import EVERYBODY, Of, Scope

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
    parties: frozenset[UUID] = frozenset()
    """The parties that this person acts for, beside the own one, whose UUID is theirs."""
    partner: UUID | None = None
    """The partner that the user is a member of."""
    sells: frozenset[str] = frozenset()
    """Codes of the products that this partner may sell; none while it is suspended."""
    authority: Authority = NO_AUTHORITY
    """How far the user may decide alone."""
    session: UUID | None = None
    """The log-in that the token descends from."""
    service: str = ""
    authorization: str = ""
    expires_at: float = 0

    # Made once, as callers are remembered.
    subject: str = field(init=False)
    """The caller in one word, for logs and for scoping idempotency keys."""
    own: Of = field(init=False)
    """The things of the parties that the caller acts for."""
    book: Of = field(init=False)
    """These, and what came by the caller's partner."""

    def __post_init__(self) -> None:
        name = f"service:{self.service}" if self.service else "anonymous"
        object.__setattr__(self, "subject", ids.encode("usr", self.user_id) if self.user_id else name)
        own = Of(frozenset({self.user_id}) | self.parties) if self.user_id else Of()
        object.__setattr__(self, "own", own)
        object.__setattr__(self, "book", Of(own.owners, self.partner if self.user_id else None))

    def scope(self, sees: frozenset[str], *, partner: bool) -> Scope:
        """Whose things this caller is shown: everybody's to a service and to a user with one of the roles `sees`.

        To others those of their parties, and, by a method that lets the `partner` of a thing call, those that
        came by theirs.
        """
        if self.service or (self.user_id and not sees.isdisjoint(self.roles)):
            return EVERYBODY
        return self.book if partner else self.own


ANONYMOUS = Caller()
