"""Pages of a list: which part is asked for, and the token that leads to the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.rpc import calls
from libs.rpc.page_tokens import PageTokenInvalid, PageTokens

DEFAULT_SIZE = 20
MOST = 100
LOOKED_THROUGH = 2_000
"""How many rows are read for one page of those that no query finds."""
_MOST_AT_ONCE = 500
_LARGEST_SEQUENCE = 2**31 - 1  # of a column of type integer

Item = TypeVar("Item")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: `size` items behind the one whose key is `after`."""

    size: int
    after: str
    bound_to: tuple[object, ...]
    tokens: PageTokens

    @classmethod
    def of(cls, request: Any, *bound_to: object) -> Page:
        """Read `page_size` and `page_token`. `bound_to` is what the list depends on: its name, caller and filters."""
        tokens = calls.current().page_tokens
        size = min(request.page_size, MOST) or DEFAULT_SIZE
        return cls(size, tokens.read(request.page_token, bound_to) if request.page_token else "", bound_to, tokens)

    def after_as(self, parse: Callable[[str], Key]) -> Key | None:
        """The key behind which the page begins, None on the first one. `PageTokenInvalid` when it is no such key."""
        try:
            return parse(self.after) if self.after else None
        except ValueError as error:
            raise PageTokenInvalid from error

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than is shown, to know whether there is a next page."""
        return self.size + 1

    def cut(self, rows: Sequence[Item], key: Callable[[Item], object]) -> tuple[Sequence[Item], str]:
        """The rows to show, and the token of the next page; `key` gives the key of a row."""
        if len(rows) <= self.size:
            return rows, ""
        shown = rows[: self.size]
        return shown, self.tokens.sign(str(key(shown[-1])), self.bound_to)

    def fill(
        self,
        first: Key | None,
        read: Callable[[Key | None, int], Sequence[Item]],
        matches: Callable[[Item], bool],
        key: Callable[[Item], Key],
    ) -> tuple[Sequence[Item], str]:
        """As `cut`, of those rows that match, where no query finds them; `read` gives so many rows behind a key.

        The page is full unless it is the last one, or `LOOKED_THROUGH` rows were read for it.
        """
        matching: list[Item] = []
        after, left, at_once = first, LOOKED_THROUGH, self.fetch
        while left:
            at_once = min(at_once, left)
            rows = read(after, at_once)
            matching += (row for row in rows if matches(row))
            if len(rows) < at_once or len(matching) > self.size:
                return self.cut(matching, key)
            after, left, at_once = key(rows[-1]), left - at_once, min(2 * at_once, _MOST_AT_ONCE)
        return matching, self.tokens.sign(str(after), self.bound_to)


def sequence_number(text: str) -> int:
    """The key of a list that is in order of a sequence. `ValueError` when the database could not hold it."""
    number = int(text)
    if not 0 <= number <= _LARGEST_SEQUENCE:
        raise ValueError(f"{text} is no sequence number")
    return number
