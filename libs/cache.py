"""A read-through cache: what was read is kept for five minutes, and replaced as soon as it changes.

It holds copies only: without it everything is as right, and slower. Every value has a version, and a newer one is
never overwritten by an older one, so that a read which began before a change cannot bring the old value back.

What a crash between the commit and `replace` leaves behind, or a change while Redis could not be reached, is old for
as long as it is kept, and no longer. A value that Redis could not be given is given to it when it answers again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from cachetools import TLRUCache
from prometheus_client import Counter

from libs.redis import Link, RedisAway

KEPT = 300.0  # seconds
_JITTER = 10.0  # seconds less, at most: what was read together is not forgotten together
_MOST = 10_000  # values that one process keeps
_MOST_OWED = 1_000  # changes that wait for Redis to answer again

hits = Counter("bazaruto_cache_hits_total", "Reads that a cache answered", ["cache"])
misses = Counter("bazaruto_cache_misses_total", "Reads that went to the source", ["cache"])
errors = Counter("bazaruto_cache_errors_total", "Times that a cache could not be asked or told", ["cache"])

# Keep the value unless one of this version or a newer one is there.
_KEEP_NEWER = """
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(string.match(kept, '^%d+') or '-1') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return 1
"""

Value = TypeVar("Value")


class Store(Protocol[Value]):
    """Where values are kept."""

    def find(self, key: str) -> Value | None:
        """The value, if it is there. `RedisAway` when that cannot be known."""

    def keep(self, key: str, version: int, value: Value) -> None:
        """Keep it, unless as new a one is there. `RedisAway` when that cannot be done."""


class InProcess(Generic[Value]):
    """Keeps values in this process: for one process alone, or for `seconds` so few that nobody minds old ones."""

    def __init__(self, seconds: float = KEPT) -> None:
        def until(_key: str, _value: tuple[int, Value], now: float) -> float:
            return now + _jittered(seconds)

        self._kept: TLRUCache[str, tuple[int, Value]] = TLRUCache(_MOST, ttu=until)
        self._lock = threading.Lock()

    def find(self, key: str) -> Value | None:
        with self._lock:
            kept = self._kept.get(key)
        return kept[1] if kept else None

    def keep(self, key: str, version: int, value: Value) -> None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] < version:
                self._kept[key] = (version, value)


class InRedis(Generic[Value]):
    """Keeps values in Redis, for all processes together."""

    def __init__(
        self, link: Link, prefix: str, encode: Callable[[Value], bytes], decode: Callable[[bytes], Value]
    ) -> None:
        """`decode` raises `ValueError` or `KeyError` for what another version of the program kept; it is read anew."""
        self._link = link
        self._prefix = prefix
        self._encode = encode
        self._decode = decode
        self._owed: dict[str, tuple[int, Value]] = {}
        self._lock = threading.Lock()  # of what is owed, when it changes

    def find(self, key: str) -> Value | None:
        for owed_key in list(self._owed):
            if change := self._owed.get(owed_key):
                self._write(owed_key, *change)
                with self._lock:
                    if self._owed.get(owed_key) is change:  # and not a newer one that came while this was written
                        del self._owed[owed_key]
        kept: bytes | None = self._link(lambda client: client.get(self._prefix + key))
        try:
            return self._decode(kept.partition(b":")[2]) if kept else None
        except (ValueError, KeyError):
            return None

    def keep(self, key: str, version: int, value: Value) -> None:
        try:
            self._write(key, version, value)
        except RedisAway:
            with self._lock:
                owed = self._owed.get(key)
                if owed[0] < version if owed else len(self._owed) < _MOST_OWED:
                    self._owed[key] = (version, value)
            raise

    def _write(self, key: str, version: int, value: Value) -> None:
        milliseconds = int(_jittered(KEPT) * 1000)
        arguments = (self._prefix + key, version, self._encode(value), milliseconds)

        def ask(client: Any) -> None:
            client.eval(_KEEP_NEWER, 1, *arguments)

        self._link(ask)


class Cache(Generic[Value]):
    """Values of one kind, by key. Of those who ask for a key at the same time, one reads it for all."""

    def __init__(self, name: str, store: Store[Value], version: Callable[[Value], int]) -> None:
        self._store = store
        self._version = version
        self._reading: dict[str, Future[Value | None]] = {}
        self._lock = threading.Lock()
        self._hits, self._misses, self._errors = (metric.labels(name) for metric in (hits, misses, errors))

    def get(self, key: str, load: Callable[[], Value | None]) -> Value | None:
        """The value of a key: as it is kept, or as `load` finds it. Absence is not kept."""
        mine: Future[Value | None] = Future()
        with self._lock:
            reading = self._reading.setdefault(key, mine)
        if reading is not mine:
            self._hits.inc()
            return reading.result()
        try:
            value = self._read(key, load)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(value)
            return value
        finally:
            with self._lock:
                if self._reading.get(key) is mine:
                    del self._reading[key]

    def replace(self, key: str, value: Value) -> None:
        """The value changed, and the change is committed."""
        with self._lock:
            self._reading.pop(key, None)  # what is being read now may be the old one; nobody else shall get it
        self._keep(key, value)

    def _read(self, key: str, load: Callable[[], Value | None]) -> Value | None:
        try:
            kept = self._store.find(key)
        except RedisAway:
            self._errors.inc()
            self._misses.inc()
            return load()  # not kept: while Redis is away, so would the change be that makes it old
        if kept is not None:
            self._hits.inc()
            return kept
        self._misses.inc()
        loaded = load()
        if loaded is not None:
            self._keep(key, loaded)
        return loaded

    def _keep(self, key: str, value: Value) -> None:
        try:
            self._store.keep(key, self._version(value), value)
        except RedisAway:
            self._errors.inc()


def _jittered(seconds: float) -> float:
    """A little less, by chance: up to a thirtieth."""
    return seconds - random.uniform(0, seconds * _JITTER / KEPT)  # noqa: S311
