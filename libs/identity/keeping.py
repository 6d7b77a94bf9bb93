"""Keeping what another service says, and asking it anew in the background: no call waits for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from libs.errors import DomainError

_AGAIN_AFTER = 10.0  # seconds between two attempts that were not due

log = structlog.get_logger("auth")
Value = TypeVar("Value")


class Kept(Generic[Value]):
    """A value of another service, which is fetched anew when it is `seconds` old and somebody looks.

    While that fails, the last one is good. One older than `stale` seconds is not looked at before it is fetched, or
    before that failed: after a time without calls the first one waits for it.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Value],
        nothing: Value,
        changed: Callable[[], None],
        seconds: float,
        stale: float = float("inf"),
    ) -> None:
        """`nothing` is the value until the first fetch; `changed` is told when it becomes another."""
        self._name = name
        self._fetch_value = fetch
        self.value = nothing
        self._seconds = seconds
        self._changed = changed
        self._stale = stale
        self._fetched_at = float("-inf")
        self.refetch_at = float("inf")  # on the monotonic clock; not before the first fetch, which somebody asks for
        self._lock = threading.Lock()

    @property
    def is_missing(self) -> bool:
        """Whether nobody has tried to fetch it."""
        return self.refetch_at == float("inf")

    def fetch_unless_just_done(self) -> None:
        """Fetch it now; not when that was done a moment ago. What `fetch` raises is passed on."""
        if time.monotonic() - self._fetched_at > _AGAIN_AFTER:
            self._fetch()

    def refetch(self) -> None:
        """Fetch what is due: in the background, or before returning when it is stale."""
        with self._lock:
            now = time.monotonic()
            if now <= self.refetch_at and not self.is_missing:
                return  # another call was faster
            if now - self._fetched_at > self._stale:
                self._try()
                return
            self.refetch_at = now + _AGAIN_AFTER
        threading.Thread(target=self._try, name=self._name, daemon=True).start()

    def _try(self) -> None:
        self.refetch_at = time.monotonic() + _AGAIN_AFTER
        try:
            self._fetch()
        except (DomainError, ValueError) as error:
            log.warning(
                f"the {self._name} of access tokens cannot be fetched anew, the last ones are used", error=str(error)
            )

    def _fetch(self) -> None:
        value = self._fetch_value()
        has_changed, self.value = value != self.value, value
        self._fetched_at = time.monotonic()
        self.refetch_at = self._fetched_at + self._seconds
        if has_changed:
            self._changed()
