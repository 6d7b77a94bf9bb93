"""Access tokens: verified without a call, with the public keys of the service that logs people in.

People carry JSON Web Tokens signed with EdDSA by that service. Services show each other tokens of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from libs import clock
from libs.config import AuthSettings
from libs.errors import FieldInvalid
from libs.identity import service_tokens
from libs.identity.callers import BEARER, Caller, TokenInvalid
from libs.identity.claims import caller_of
from libs.identity.keeping import Kept
from libs.identity.secrets import read_secret

LEEWAY = 30.0  # seconds that clocks may differ
_CACHED_TOKENS = 10_000
KEYS_TRUSTED = 300.0  # seconds until the keys are fetched anew: so long a removed one is still good
SESSIONS_TRUSTED = 30.0  # seconds until the ended log-ins are fetched anew, while there are calls, and
SESSIONS_STALE = 50.0  # the age from which a call waits for that

PublicKeys = Callable[[], Mapping[str, Ed25519PublicKey]]
EndedSessions = Callable[[], AbstractSet[UUID]]


class TokenVerifier:
    """Turns an `authorization` value into a caller. A verified token is remembered until it expires.

    All threads that answer calls share it. What they read is read without a lock, as every call pays for that.
    """

    def __init__(self, settings: AuthSettings, public_keys: PublicKeys, ended_sessions: EndedSessions) -> None:
        """`ended_sessions` are the log-ins that were ended before their access tokens expire."""
        self._settings = settings
        self._keys = Kept[Mapping[str, Ed25519PublicKey]]("keys", public_keys, {}, self._forget, KEYS_TRUSTED)
        self._ended = Kept[AbstractSet[UUID]](
            "ended log-ins", ended_sessions, frozenset(), self._forget, SESSIONS_TRUSTED, SESSIONS_STALE
        )
        self._known: dict[str, Caller] = {}
        self._lock = threading.Lock()  # of what changes

    @cached_property
    def _internal_secret(self) -> bytes:
        return read_secret(self._settings.internal_secret_file)

    def verify(self, authorization: str) -> Caller:
        """The caller of a token. `TokenInvalid` when it is malformed, expired, or signed by somebody else."""
        now = time.monotonic()
        if now > self._keys.refetch_at:
            self._keys.refetch()
        if now > self._ended.refetch_at:
            self._ended.refetch()
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
        if self._ended.is_missing:
            self._ended.refetch()
        caller = caller_of(claims, authorization)
        if caller.session in self._ended.value:
            raise TokenInvalid("the log-in of the access token was ended")
        return caller

    def _decode(self, token: str, key: Any, algorithm: str, audience: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )

    def _key(self, key_id: str) -> Ed25519PublicKey:
        """The key of that id; an unknown one may be new, so the keys are fetched again, though not too often."""
        if key_id not in self._keys.value:
            self._keys.fetch_unless_just_done()
        return self._keys.value[key_id]

    def _forget(self) -> None:
        """Verify every token anew: its key may be gone, or its log-in ended."""
        with self._lock:
            self._known = {}


def public_key(json_web_key: dict[str, str]) -> Ed25519PublicKey:
    """The key of a JSON Web Key. `ValueError` when it is not a public Ed25519 key."""
    key = OKPAlgorithm.from_jwk(json_web_key)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not a public Ed25519 key")
    return key
