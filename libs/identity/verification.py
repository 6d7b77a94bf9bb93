"""Access tokens: verified without a call, with the public keys of the service that logs people in.

People carry JSON Web Tokens signed with EdDSA by that service. Services show each other tokens of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from libs import clock, ids
from libs.config import AuthSettings
from libs.errors import DomainError, FieldInvalid
from libs.identity import service_tokens
from libs.identity.callers import BEARER, Caller, TokenInvalid
from libs.identity.secrets import read_secret

_LEEWAY = 30  # seconds that clocks may differ
_CACHED_TOKENS = 10_000
_REFETCH_AFTER = 10.0  # seconds between two looks for a key that was not there
KEYS_TRUSTED = 300.0  # seconds until the keys are fetched anew: so long a removed one is still good

log = structlog.get_logger("auth")

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
        if known is not None and known.expires_at > clock.real_seconds():
            return known
        if not authorization.startswith(BEARER):
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
        token = authorization.removeprefix(BEARER)
        header = jwt.get_unverified_header(token)
        if header.get("alg") == "HS256":
            claims = self._decode(token, self._internal_secret, "HS256", service_tokens.AUDIENCE)
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


def public_key(json_web_key: dict[str, str]) -> Ed25519PublicKey:
    """The key of a JSON Web Key. `ValueError` when it is not a public Ed25519 key."""
    key = OKPAlgorithm.from_jwk(json_web_key)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not a public Ed25519 key")
    return key
