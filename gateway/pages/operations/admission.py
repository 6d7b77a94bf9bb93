"""Who may see the figures: a caller whose access token says that they are an administrator.

The token is checked here, as every service does it, so that the page works while the service that signs does not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.http import problems
from gateway.pages.operations.keys import KeysUnavailable
from libs.config import AuthSettings
from libs.identity.callers import Caller, TokenInvalid
from libs.identity.verification import KEYS_TRUSTED, TokenVerifier

_ADMIN = "admin"
_FETCH_AGAIN = 10.0  # seconds; a token with an unknown key is no reason to ask more often


class Admission:
    """Admits administrators."""

    def __init__(self, settings: AuthSettings, fetch: Callable[[], Awaitable[Mapping[str, Ed25519PublicKey]]]) -> None:
        self._settings = settings
        self._fetch = fetch
        self._verifier: TokenVerifier | None = None
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")

    async def admit(self, authorization: str) -> None:
        """401 without a good token, 403 without the role, 503 when the keys cannot be had."""
        if not authorization:
            raise problems.made(401, "UNAUTHENTICATED", "TOKEN_INVALID", "This needs an access token.")
        caller = self._caller(authorization)
        if caller is None or time.monotonic() - self._fetched_at > KEYS_TRUSTED:
            await self._fetch_keys()
            caller = self._caller(authorization)
        if caller is None:
            text = "The access token is malformed, expired or not signed by this platform."
            raise problems.made(401, "UNAUTHENTICATED", "TOKEN_INVALID", text)
        if _ADMIN not in caller.roles:
            raise problems.made(403, "PERMISSION_DENIED", "ACCESS_DENIED", "This is for administrators.")

    def _caller(self, authorization: str) -> Caller | None:
        try:
            return self._verifier.verify(authorization) if self._verifier else None
        except TokenInvalid:
            return None

    async def _fetch_keys(self) -> None:
        if self._verifier and time.monotonic() - self._asked_at < _FETCH_AGAIN:
            return
        self._asked_at = time.monotonic()
        try:
            keys = await self._fetch()
        except KeysUnavailable:
            if self._verifier:
                return
            text = "The keys that check an access token cannot be had now."
            raise problems.made(503, "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", text) from None
        # A new verifier: the old one may have looked for a key that is there only now.
        self._verifier = TokenVerifier(self._settings, lambda: keys, frozenset)
        self._fetched_at = time.monotonic()
