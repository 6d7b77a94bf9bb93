"""Redis as something that may be away: it is asked briefly, and while it fails it is not asked at all.

Whoever asks must be able to do without. A Redis that hangs costs one caller a quarter of a second now and then, and
nobody else anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = structlog.get_logger("redis")

_SECONDS = 0.25  # for connecting, for writing and for reading
_SHORTEST_REST = 1.0  # seconds without a question after a failure; doubled while it goes on failing,
_LONGEST_REST = 10.0  # up to this

Answer = TypeVar("Answer")


class RedisAway(Exception):
    """Redis does not answer now."""


class Link:
    """One process's way to Redis."""

    def __init__(self, url: str) -> None:
        """Connects when it is first asked."""
        self._client: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._lock = threading.Lock()
        self._ask_again_at: float | None = None  # a moment of the monotonic clock; None while all is well
        self._rest = _SHORTEST_REST

    def __call__(self, ask: Callable[[Any], Answer]) -> Answer:
        """What `ask` gets from the client. `RedisAway` when it gets nothing, or it is too early to try again."""
        if self._ask_again_at is not None:
            self._take_turn()
        try:
            answer = ask(self._client)
        except (RedisError, OSError) as error:
            self._failed(error)
            raise RedisAway from error
        if self._ask_again_at is not None:
            self._ask_again_at, self._rest = None, _SHORTEST_REST
            log.info("redis answers again")
        return answer

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _take_turn(self) -> None:
        """One caller tries whether Redis is back; the others do without it meanwhile."""
        with self._lock:
            now = time.monotonic()
            if self._ask_again_at is not None:
                if now < self._ask_again_at:
                    raise RedisAway
                self._ask_again_at = now + self._rest

    def _failed(self, error: Exception) -> None:
        with self._lock:
            if self._ask_again_at is None:  # told once, not for every caller
                log.warning("redis is away, going on without it", error=type(error).__name__)
            else:
                self._rest = min(self._rest * 2, _LONGEST_REST)
            self._ask_again_at = time.monotonic() + self._rest
