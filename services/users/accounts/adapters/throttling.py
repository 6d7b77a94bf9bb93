"""Making those wait who guess passwords: for an account, wherever they come from; for an address, whomever they try;
and those who find out by registering who has an account.

Five failures are free. Then each makes the next attempt wait: a second, two, four, up to fifteen minutes; within that
time even the right password is not looked at. An account's failures are forgotten when its owner logs in, and all of
them an hour after the last one. An account that does not exist is treated as one that does.

Counted in Redis where there is one, for all processes together. While Redis is away each process counts for itself,
and nobody is let in for that.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Protocol

from cachetools import TTLCache

from libs.errors import Exhausted
from libs.redis import Link, RedisAway

FREE = 5  # failures
_FIRST, _LONGEST = 1.0, 900.0  # seconds to wait
_FORGOTTEN = 3600  # seconds after the last failure
_MOST = 100_000  # accounts and addresses that one process counts
_PREFIX = "bazaruto:users:attempts:"


class TooManyAttempts(Exhausted):
    """Too many attempts failed; wait before the next one."""

    reason = "TOO_MANY_ATTEMPTS"


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


def keys_of(email: str, client_address: str) -> tuple[str, str]:
    """What an attempt is counted under: the account, which is not told by its key, and the address."""
    digest = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    return f"account:{digest}", f"address:{_network_of(client_address)}"


def keys_of_registration(client_address: str) -> tuple[str]:
    """What a registration that fails is counted under: refusals tell which e-mail addresses have an account."""
    return (f"registration:{_network_of(client_address)}",)


def wait_after(failures: int, free: int = FREE) -> float:
    """Seconds to wait after so many failures."""
    over = failures - free
    return 0.0 if over < 0 else min(_FIRST * 2.0 ** min(over, 32), _LONGEST)


def _network_of(client_address: str) -> str:
    """The address; of IPv6 the network, because everybody has as many addresses there as they like."""
    try:
        parsed = ip_address(client_address)
    except ValueError:
        return client_address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False)) if parsed.ipv4_mapped is None else str(parsed.ipv4_mapped)
    return client_address


class _InProcess:
    def __init__(self) -> None:
        self._kept: TTLCache[str, tuple[int, float]] = TTLCache(_MOST, _FORGOTTEN)
        self._lock = threading.Lock()

    def wait(self, keys: Sequence[str]) -> float:
        now = time.monotonic()
        with self._lock:
            return max(0.0, *(self._kept.get(key, (0, 0.0))[1] - now for key in keys))

    def fail(self, keys: Sequence[str], free: int) -> float:
        longest = 0.0
        with self._lock:
            for key in keys:
                failures = self._kept.get(key, (0, 0.0))[0] + 1
                seconds = wait_after(failures, free)
                self._kept[key] = (failures, time.monotonic() + seconds)
                longest = max(longest, seconds)
        return longest

    def forget(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)


class _InRedis:
    """For each key a count, and as long as it has to wait a second key that says so by being there."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def wait(self, keys: Sequence[str]) -> float:
        def ask(client: Any) -> list[int]:
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.pttl(f"{_PREFIX}{key}:wait")
                found: list[int] = pipe.execute()
                return found

        return max(0, *self._link(ask)) / 1000

    def fail(self, keys: Sequence[str], free: int) -> float:
        def count(client: Any) -> list[int]:
            with client.pipeline() as pipe:
                for key in keys:
                    pipe.incr(_PREFIX + key)
                    pipe.expire(_PREFIX + key, _FORGOTTEN)
                found: list[int] = pipe.execute()[::2]
                return found

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
