"""Page tokens: opaque to callers, signed, and good for one list with its filters and its caller.

All processes of the suite share one secret. A token that one of them made is accepted by every replica of the service
and after every restart, and nobody else can make one.
"""

from __future__ import annotations

import hashlib
import json

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from libs.errors import Invalid


class PageTokenInvalid(Invalid):
    """The page token is malformed, or belongs to another list, filter or caller."""

    reason = "PAGE_TOKEN_INVALID"


class PageTokens:
    """Makes page tokens and reads them: the key of the last item shown, and a signature over it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, after: str, bound_to: tuple[object, ...]) -> str:
        """The token that continues a list behind the key `after`."""
        return self._signer(bound_to).sign(base64_encode(after)).decode()

    def read(self, token: str, bound_to: tuple[object, ...]) -> str:
        """The key behind which the list continues. `PageTokenInvalid` unless it was signed for this very list."""
        try:
            return base64_decode(self._signer(bound_to).unsign(token)).decode()
        except (BadData, UnicodeError) as error:
            raise PageTokenInvalid from error

    def _signer(self, bound_to: tuple[object, ...]) -> Signer:
        """What a token is bound to is not in it: each list, filter and caller has a key of its own.

        The salt is a JSON list, which a token of `libs.identity`, signed with the same secret, cannot be.
        """
        salt = json.dumps(["page", *map(str, bound_to)])
        return Signer(self._secret, salt, key_derivation="hmac", digest_method=hashlib.sha256)
