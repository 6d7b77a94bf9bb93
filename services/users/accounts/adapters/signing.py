"""The private keys that sign the access tokens of users. They stay here; everybody gets the public ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from libs import ids
from libs.config import AuthSettings
from libs.identity import claims
from libs.identity.callers import Caller
from libs.identity.secrets import write_secret


@dataclass(frozen=True)
class SigningKeys:
    """The private keys of the users service, by id. The newest signs; all of them verify."""

    keys: Mapping[str, Ed25519PrivateKey]
    newest: str
    public: Mapping[str, Ed25519PublicKey] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "public", {key_id: key.public_key() for key_id, key in self.keys.items()})

    @classmethod
    def load(cls, folder: Path) -> SigningKeys:
        """Read every `<key id>.pem` of a folder. Ids sort by age: the last one is the newest."""
        keys: dict[str, Ed25519PrivateKey] = {}
        for path in sorted(folder.glob("*.pem")):
            try:
                key = load_pem_private_key(path.read_bytes(), password=None)
            except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError when it wants a password
                raise ValueError(f"auth.key_folder: {path} is no key that can be read: {error}") from error
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError(f"{path} is not an Ed25519 private key")
            keys[path.stem] = key
        if not keys:
            raise ValueError(f"auth.key_folder: there is no key in {folder}")
        return cls(keys, max(keys))

    def sign(self, settings: AuthSettings, user: Caller, now: datetime, expires_at: datetime | None = None) -> str:
        """An access token by which a user becomes that caller, good from `now` until `expires_at`.

        Without it, for `settings.access_token_lifetime`.
        """
        token_claims = {
            **claims.of_caller(user),
            "iss": settings.issuer,
            "aud": settings.audience,
            "iat": now,
            "nbf": now,
            "exp": expires_at or now + settings.access_token_lifetime,
            "jti": str(ids.new()),
        }
        return jwt.encode(token_claims, self.keys[self.newest], algorithm="EdDSA", headers={"kid": self.newest})

    def json_web_keys(self) -> list[dict[str, str]]:
        """The public keys as JSON Web Keys, newest first."""
        return [
            {
                **OKPAlgorithm.to_jwk(self.public[key_id], as_dict=True),
                "kid": key_id,
                "use": "sig",
                "alg": "EdDSA",
            }
            for key_id in sorted(self.public, reverse=True)
        ]


def write_signing_key(folder: Path, now: datetime) -> None:
    """Make a new signing key. The old ones go on verifying until they are removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(folder / f"{now:%Y%m%d%H%M%S}.pem", pem)
