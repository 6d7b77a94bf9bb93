"""Scopes: whose things a caller is shown. Nothing stands for everybody by being absent."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Everybody:
    """The things of everybody. It is no right to act for others."""

    def covers(self, owner: UUID, partner: UUID | None = None) -> bool:
        """Whether a thing is shown."""
        return True


@dataclass(frozen=True, slots=True)
class Of:
    """The things of some people; of nobody, nothing."""

    owners: frozenset[UUID]

    def covers(self, owner: UUID, partner: UUID | None = None) -> bool:
        """Whether a thing is shown that belongs to `owner`."""
        return owner in self.owners


@dataclass(frozen=True, slots=True)
class Within:
    """The things that came by one partner, whoever owns them."""

    partner: UUID

    def covers(self, owner: UUID, partner: UUID | None = None) -> bool:
        """Whether a thing is shown that came by `partner`; None when it came by nobody."""
        return partner == self.partner


Scope = Everybody | Of | Within
NOTHING = Of(frozenset())
EVERYBODY = Everybody()
