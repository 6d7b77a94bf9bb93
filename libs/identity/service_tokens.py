"""Short-lived tokens that services show each other, signed with a secret that only they hold."""

from __future__ import annotations

import jwt

from libs import clock
from libs.config import AuthSettings
from libs.identity.callers import BEARER
from libs.identity.secrets import read_secret

AUDIENCE = "bazaruto-internal"
_LIFETIME = 60  # seconds


class ServiceTokens:
    """The tokens by which a service shows the others who it is."""

    def __init__(self, settings: AuthSettings, service: str) -> None:
        self._settings = settings
        self._service = service
        self._header = ""
        self._renew_at = 0.0

    def header(self) -> str:
        """The `authorization` value to send; made anew when half of its life is over."""
        now = clock.real_seconds()
        if now >= self._renew_at:
            claims = {
                "sub": self._service,
                "iss": self._settings.issuer,
                "aud": AUDIENCE,
                "iat": int(now),
                "exp": int(now) + _LIFETIME,
            }
            secret = read_secret(self._settings.internal_secret_file)
            self._header = BEARER + jwt.encode(claims, secret, algorithm="HS256")
            self._renew_at = now + _LIFETIME / 2
        return self._header
