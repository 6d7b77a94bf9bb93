"""Pages of a list: opaque tokens that say where the next page begins, bound to the list they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.errors import Invalid

DEFAULT_SIZE = 20
MOST = 100

Item = TypeVar("Item")
Key = TypeVar("Key")


class PageTokenInvalid(Invalid):
    """The page token is malformed, or belongs to another list, filter or caller."""

    reason = "PAGE_TOKEN_INVALID"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: `size` items behind the one whose key is `after`."""

    size: int
    after: str
    bound: str

    @classmethod
    def of(cls, request: Any, *bound_to: object) -> Page:
        """Read `page_size` and `page_token`. `bound_to` is what the list depends on: its name, caller and filters."""
        bound = hashlib.sha256(json.dumps([str(value) for value in bound_to]).encode()).hexdigest()[:16]
        size = min(request.page_size, MOST) or DEFAULT_SIZE
        return cls(size, _after(request.page_token, bound) if request.page_token else "", bound)

    def after_as(self, parse: Callable[[str], Key]) -> Key | None:
        """The key behind which the page begins, None on the first one. `PageTokenInvalid` when it is forged."""
        try:
            return parse(self.after) if self.after else None
        except ValueError as error:
            raise PageTokenInvalid from error

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than is shown, to know whether there is a next page."""
        return self.size + 1

    def cut(self, rows: Sequence[Item], key: Any) -> tuple[Sequence[Item], str]:
        """The rows to show, and the token of the next page; `key` gives the key of a row."""
        if len(rows) <= self.size:
            return rows, ""
        shown = rows[: self.size]
        token = json.dumps([self.bound, str(key(shown[-1]))]).encode()
        return shown, base64.urlsafe_b64encode(token).decode().rstrip("=")


def _after(token: str, bound: str) -> str:
    try:
        found, after = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, TypeError) as error:
        raise PageTokenInvalid from error
    if found != bound or not isinstance(after, str):
        raise PageTokenInvalid
    return after
