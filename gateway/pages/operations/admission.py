"""Who may see the figures: a caller whose access token says that they are an administrator.

The token is checked here, as every service does it, so that the page works while users does not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.users.v1 import auth_pb2 as pb
from bazaruto.users.v1 import auth_pb2_grpc as rpc_pb
from gateway.http import problems
from libs.auth import KEYS_TRUSTED, Caller, TokenInvalid, TokenVerifier, public_key
from libs.config import AuthSettings

_ADMIN = "admin"
_PATIENCE = 1.8  # seconds
_FETCH_AGAIN = 10.0  # seconds; a token with an unknown key is no reason to ask more often


class Admission:
    """Admits administrators."""

    def __init__(self, settings: AuthSettings, users: grpc.aio.Channel) -> None:
        self._settings = settings
        self._users = rpc_pb.AuthServiceStub(users)
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
            told = "The access token is malformed, expired or not signed by this platform."
            raise problems.made(401, "UNAUTHENTICATED", "TOKEN_INVALID", told)
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
            found = await self._users.ListPublicKeys(pb.ListPublicKeysRequest(), timeout=_PATIENCE)
        except grpc.RpcError:
            if self._verifier:
                return
            told = "The keys that check an access token cannot be had now."
            raise problems.made(503, "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", told) from None
        keys: Mapping[str, Ed25519PublicKey] = {
            key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in found.keys
        }
        # A new verifier: the old one may have looked for a key that is there only now.
        self._verifier = TokenVerifier(self._settings, lambda: keys)
        self._fetched_at = time.monotonic()
