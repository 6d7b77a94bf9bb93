"""Callers with real tokens, signed by keys that the servers under test trust."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from libs import ids
from libs.config import AuthSettings
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from services.users.accounts.adapters.signing import SigningKeys, write_signing_key
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
        self.auth = section(AuthSettings, key_folder=folder / "keys", internal_secret_file=folder / "internal")
        self.keys = SigningKeys.load(self.auth.key_folder)

    def customer(self) -> Person:
        """A customer nobody has met before."""
        return self._user("customer")

    def known(self, user_id: UUID) -> Person:
        """A customer whom a database knows already."""
        return self._user("customer", user_id)

    def admin(self) -> Person:
        """An administrator."""
        return self._user("admin")

    def service(self, name: str) -> Person:
        """A service of the platform."""
        return Person(ServiceTokens(self.auth, name).header())

    def verifier(self) -> TokenVerifier:
        """A verifier that trusts these callers."""
        return TokenVerifier(self.auth, lambda: self.keys.public)

    def _user(self, role: str, user_id: UUID | None = None) -> Person:
        user_id = user_id or ids.new()
        return Person(f"Bearer {self.keys.sign(self.auth, user_id, [role], datetime.now(UTC))}", user_id)


def new_key() -> str:
    """An idempotency key that was never used."""
    return secrets.token_hex(16)
