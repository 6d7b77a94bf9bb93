"""Callers with real tokens, signed by keys that the servers under test trust."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from libs import ids
from libs.config import AuthSettings
from libs.identity.callers import Caller
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from services.users.accounts.adapters.signing import SigningKeys, write_signing_key
from services.users.people.adapters.sealing import write_field_keys
from tests.support.sections import section


@dataclass(frozen=True)
class Person:
    """Somebody who calls."""

    authorization: str
    id: UUID | None = None

    @property
    def user_id(self) -> str:
        """The identifier as callers see it."""
        assert self.id is not None
        return ids.encode("usr", self.id)

    def metadata(self, **more: str) -> tuple[tuple[str, str], ...]:
        """Metadata for a call by this person: `metadata(idempotency_key=…)` adds to it."""
        return (
            ("authorization", self.authorization),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        )


class People:
    """Makes callers."""

    def __init__(self, folder: Path) -> None:
        write_signing_key(folder / "keys", datetime.now(UTC))
        (folder / "internal").write_text(secrets.token_hex(32))
        self.field_keys = folder / "fields"
        write_field_keys(self.field_keys, datetime.now(UTC))
        self._trust(section(AuthSettings, key_folder=folder / "keys", internal_secret_file=folder / "internal"))

    @classmethod
    def trusting(cls, auth: AuthSettings) -> People:
        """Callers whom a platform with these secrets trusts."""
        people = cls.__new__(cls)
        people._trust(auth)
        return people

    def _trust(self, auth: AuthSettings) -> None:
        self.auth = auth
        self.keys = SigningKeys.load(auth.key_folder)

    def customer(self, **rights: Any) -> Person:
        """A customer nobody has met before."""
        return self.user("customer", **rights)

    def known(self, user_id: UUID) -> Person:
        """A customer whom a database knows already."""
        return self.user("customer", user_id=user_id)

    def admin(self) -> Person:
        """An administrator."""
        return self.user("admin")

    def agent(self, partner: UUID | None = None, sells: Iterable[str] = ()) -> Person:
        """A member of a partner, of a new one unless it is given, which may sell those products."""
        return self.user("agent", partner=partner or ids.new(), sells=frozenset(sells))

    def user(self, *roles: str, user_id: UUID | None = None, **rights: Any) -> Person:
        """Somebody with those roles; `rights` as `Caller` names them: parties, partner, sells, authority, session."""
        caller = Caller(user_id=user_id or ids.new(), roles=frozenset(roles), **rights)
        return Person(f"Bearer {self.keys.sign(self.auth, caller, datetime.now(UTC))}", caller.user_id)

    def service(self, name: str) -> Person:
        """A service of the platform."""
        return Person(ServiceTokens(self.auth, name).header())

    def verifier(self) -> TokenVerifier:
        """A verifier that trusts these callers."""
        return TokenVerifier(self.auth, lambda: self.keys.public, frozenset)


def new_key() -> str:
    """An idempotency key that was never used."""
    return secrets.token_hex(16)
