"""Scopes: whose things a caller is shown. Nothing stands for everybody by being absent.

Whose they are is decided in one place, for every read and every list: `Caller.scope`, by what the contract says of the
method that is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Everybody:
    """The things of everybody."""

    def covers(self, owner: UUID | None, partner: UUID | None = None) -> bool:
        """Whether a thing is shown."""
        return True


@dataclass(frozen=True, slots=True)
class Of:
    """The things of some parties, and those that came by one partner, whoever owns them; of nobody, nothing."""

    owners: frozenset[UUID] = frozenset()
    partner: UUID | None = None

    def covers(self, owner: UUID | None, partner: UUID | None = None) -> bool:
        """Whether a thing is shown that belongs to `owner` and came by `partner`: None when it is nobody's."""
        return owner in self.owners or (partner is not None and partner == self.partner)


Scope = Everybody | Of
NOTHING = Of()
EVERYBODY = Everybody()
