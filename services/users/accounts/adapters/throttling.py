"""Counting attempts that failed, and making those wait who go on.

Counted in Redis where there is one, for all processes together. While Redis is away each process counts for itself,
and nobody is let in for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from cachetools import TTLCache

from libs.redis import Link, RedisAway
from services.users.accounts.rules.attempts import FORGOTTEN, FREE, TooManyAttempts, wait_after

_KEPT = int(FORGOTTEN.total_seconds())
_MOST = 100_000  # accounts and addresses that one process counts
_PREFIX = "bazaruto:users:attempts:"


class Counts(Protocol):
    """Where failures are counted."""

    def wait(self, keys: Sequence[str]) -> float:
        """Seconds until none of the keys has to wait any more."""

    def fail(self, keys: Sequence[str], free: int) -> float:
        """Count a failure of each key; the seconds that follow from it."""

    def forget(self, key: str) -> None:
        """Begin anew with a key."""


class Throttle:
    """Says when an attempt may be made, and learns how it ended."""

    def __init__(self, link: Link | None = None, *, free: int = FREE) -> None:
        self._own: Counts = _InProcess()
        self._shared: Counts = _InRedis(link) if link else self._own
        self._free = free

    def check(self, keys: Sequence[str]) -> None:
        """`TooManyAttempts` while an attempt has to wait."""
        try:
            seconds = self._shared.wait(keys)
        except RedisAway:
            seconds = self._own.wait(keys)
        if seconds > 0:
            error = TooManyAttempts()
            error.retry_after = seconds
            raise error

    def failed(self, keys: Sequence[str]) -> float:
        """An attempt failed. Returns the seconds that the next one has to wait."""
        try:
            return self._shared.fail(keys, self._free)
        except RedisAway:
            return self._own.fail(keys, self._free)

    def succeeded(self, account: str) -> None:
        """The owner of an account is here. The address stays counted: an attacker may have an account too."""
        self._own.forget(account)
        try:
            self._shared.forget(account)
        except RedisAway:
            return


class _InProcess:
    """For each key how often it failed, and until when it has to wait on the monotonic clock."""

    def __init__(self) -> None:
        self._failures: TTLCache[str, tuple[int, float]] = TTLCache(_MOST, _KEPT)
        self._lock = threading.Lock()

    def wait(self, keys: Sequence[str]) -> float:
        now = time.monotonic()
        with self._lock:
            return max(0.0, *(self._failures.get(key, (0, 0.0))[1] - now for key in keys))

    def fail(self, keys: Sequence[str], free: int) -> float:
        longest = 0.0
        with self._lock:
            for key in keys:
                count = self._failures.get(key, (0, 0.0))[0] + 1
                seconds = wait_after(count, free)
                self._failures[key] = (count, time.monotonic() + seconds)
                longest = max(longest, seconds)
        return longest

    def forget(self, key: str) -> None:
        with self._lock:
            self._failures.pop(key, None)


class _InRedis:
    """For each key a count, and as long as it has to wait a second key that says so by being there."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def wait(self, keys: Sequence[str]) -> float:
        def ask(client: Any) -> list[int]:
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.pttl(f"{_PREFIX}{key}:wait")
                milliseconds: list[int] = pipe.execute()
                return milliseconds

        return max(0, *self._link(ask)) / 1000

    def fail(self, keys: Sequence[str], free: int) -> float:
        def count(client: Any) -> list[int]:
            with client.pipeline() as pipe:
                for key in keys:
                    pipe.incr(_PREFIX + key)
                    pipe.expire(_PREFIX + key, _KEPT)
                counts: list[int] = pipe.execute()[::2]
                return counts

        waits = {key: wait_after(count, free) for key, count in zip(keys, self._link(count), strict=True)}

        def hold(client: Any) -> None:
            with client.pipeline() as pipe:
                for key, seconds in waits.items():
                    if seconds > 0:
                        pipe.set(f"{_PREFIX}{key}:wait", 1, px=int(seconds * 1000))
                pipe.execute()

        self._link(hold)
        return max(waits.values())

    def forget(self, key: str) -> None:
        self._link(lambda client: client.delete(_PREFIX + key, f"{_PREFIX}{key}:wait"))
