"""Who is calling: access tokens of users, and the tokens by which services know each other.

Users carry JSON Web Tokens signed with EdDSA by the users service; everybody verifies them with its public keys,
without a call. Services sign short-lived tokens for each other with a secret that only they hold.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import structlog
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
from libs.errors import Denied, DomainError, FieldInvalid, Unauthenticated

_INTERNAL_AUDIENCE = "bazaruto-internal"
_INTERNAL_LIFETIME = 60  # seconds
_LEEWAY = 30  # seconds that clocks may differ
_BEARER = "Bearer "
_CACHED_TOKENS = 10_000
_REFETCH_AFTER = 10.0  # seconds between two looks for a key that was not there
KEYS_TRUSTED = 300.0  # seconds until the keys are fetched anew: so long a removed one is still good

log = structlog.get_logger("auth")


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
PublicKeys = Callable[[], Mapping[str, Ed25519PublicKey]]


class TokenVerifier:
    """Turns an `authorization` value into a caller. A verified token is remembered until it expires.

    All threads that answer calls share it. What they read is read without a lock, as every call pays for that.
    """

    def __init__(self, settings: AuthSettings, public_keys: PublicKeys) -> None:
        self._settings = settings
        self._fetch_keys = public_keys
        self._keys: Mapping[str, Ed25519PublicKey] = {}
        self._fetched_at = float("-inf")
        self._refetch_at = float("inf")
        self._known: dict[str, Caller] = {}
        self._lock = threading.Lock()  # of what changes

    @cached_property
    def _internal_secret(self) -> bytes:
        return read_secret(self._settings.internal_secret_file)

    def verify(self, authorization: str) -> Caller:
        """The caller of a token. `TokenInvalid` when it is malformed, expired, or signed by somebody else."""
        if time.monotonic() > self._refetch_at:
            self._refetch()
        remembered = self._known  # those of before, when the keys change meanwhile: then nobody looks there again
        known = remembered.get(authorization)
        if known is not None and known.expires_at > time.time():
            return known
        if not authorization.startswith(_BEARER):
            raise TokenInvalid("the authorization is not of the form 'Bearer TOKEN'")
        try:
            caller = self._verify(authorization)
        except (jwt.InvalidTokenError, FieldInvalid, ValueError, KeyError) as error:
            raise TokenInvalid("the access token is malformed, expired or not signed by this platform") from error
        with self._lock:
            if authorization not in remembered and len(remembered) >= _CACHED_TOKENS:
                del remembered[next(iter(remembered))]  # the oldest: it expires before most others
            remembered[authorization] = caller
        return caller

    def is_service(self, authorization: str, name: str) -> bool:
        """Whether it is the token of that service."""
        try:
            return self.verify(authorization).service == name
        except TokenInvalid:
            return False

    def _verify(self, authorization: str) -> Caller:
        token = authorization.removeprefix(_BEARER)
        header = jwt.get_unverified_header(token)
        if header.get("alg") == "HS256":
            claims = self._decode(token, self._internal_secret, "HS256", _INTERNAL_AUDIENCE)
            return Caller(service=claims["sub"], authorization=authorization, expires_at=claims["exp"])
        key = self._key(str(header.get("kid", "")))
        claims = self._decode(token, key, "EdDSA", self._settings.audience)
        return Caller(
            user_id=ids.decode("usr", claims["sub"]),
            roles=frozenset(claims["roles"]),
            authorization=authorization,
            expires_at=claims["exp"],
        )

    def _decode(self, token: str, key: Any, algorithm: str, audience: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=self._settings.issuer,
            leeway=_LEEWAY,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )

    def _key(self, key_id: str) -> Ed25519PublicKey:
        """The key of that id; an unknown one may be new, so the keys are fetched again, though not too often."""
        if key_id not in self._keys and time.monotonic() - self._fetched_at > _REFETCH_AFTER:
            self._fetch()
        return self._keys[key_id]

    def _refetch(self) -> None:
        """Fetch the keys again, in the background: no call waits for it, and while it fails the last ones are good."""
        with self._lock:
            if time.monotonic() <= self._refetch_at:
                return  # another call was faster
            self._refetch_at = time.monotonic() + _REFETCH_AFTER

        def fetch() -> None:
            try:
                self._fetch()
            except (DomainError, ValueError) as error:
                log.warning(
                    "the keys of access tokens cannot be fetched anew, the last ones are used", error=str(error)
                )

        threading.Thread(target=fetch, name="keys", daemon=True).start()

    def _fetch(self) -> None:
        keys = self._fetch_keys()
        with self._lock:
            changed = keys != self._keys
            self._keys = keys
            self._fetched_at = time.monotonic()
            self._refetch_at = self._fetched_at + KEYS_TRUSTED
            if changed:
                self._known = {}  # some may be signed by a key that is gone


class ServiceTokens:
    """The tokens by which a service shows the others who it is."""

    def __init__(self, settings: AuthSettings, service: str) -> None:
        self._settings = settings
        self._service = service
        self._header = ""
        self._renew_at = 0.0

    def header(self) -> str:
        """The `authorization` value to send; made anew when half of its life is over."""
        now = time.time()
        if now >= self._renew_at:
            claims = {
                "sub": self._service,
                "iss": self._settings.issuer,
                "aud": _INTERNAL_AUDIENCE,
                "iat": int(now),
                "exp": int(now) + _INTERNAL_LIFETIME,
            }
            secret = read_secret(self._settings.internal_secret_file)
            self._header = _BEARER + jwt.encode(claims, secret, algorithm="HS256")
            self._renew_at = now + _INTERNAL_LIFETIME / 2
        return self._header


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

    def sign(self, settings: AuthSettings, user_id: UUID, roles: list[str], now: datetime) -> str:
        """An access token for a user, good from `now` for `settings.access_token_lifetime`."""
        claims = {
            "sub": ids.encode("usr", user_id),
            "iss": settings.issuer,
            "aud": settings.audience,
            "iat": now,
            "nbf": now,
            "exp": now + settings.access_token_lifetime,
            "jti": str(ids.new()),
            "roles": roles,
        }
        return jwt.encode(claims, self.keys[self.newest], algorithm="EdDSA", headers={"kid": self.newest})

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


def public_key(json_web_key: dict[str, str]) -> Ed25519PublicKey:
    """The key of a JSON Web Key. `ValueError` when it is not a public Ed25519 key."""
    key = OKPAlgorithm.from_jwk(json_web_key)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not a public Ed25519 key")
    return key


def write_signing_key(folder: Path, now: datetime) -> None:
    """Make a new signing key. The old ones go on verifying until they are removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(folder / f"{now:%Y%m%d%H%M%S}.pem", pem)


def write_secret(path: Path, secret: bytes) -> None:
    """Write a file that only its owner reads. It is there whole, or not at all: half a secret would never be remade."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def read_secret(path: Path) -> bytes:
    """The secret in a file. `ValueError`, naming the file, when it is missing or shorter than 32 bytes."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"auth.internal_secret_file: {error}") from error
    if len(secret) < 32:
        raise ValueError(f"auth.internal_secret_file: {path} holds less than 32 bytes")
    return secret
