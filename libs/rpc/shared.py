"""One look at something slow, shared by all who ask for it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from libs.db import DatabaseUnavailable

Found = TypeVar("Found")


class SharedLook(Generic[Found]):
    """Looks at a database in a thread of its own, so that one that hangs holds this thread and no other."""

    def __init__(self, look: Callable[[], Found], name: str) -> None:
        self._look = look
        self._thread = ThreadPoolExecutor(1, name)
        self._lock = threading.Lock()
        self._running: Future[Found] | None = None

    def run(self, seconds: float) -> Found:
        """What is found, or the error that was met. `DatabaseUnavailable` after `seconds`."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = self._thread.submit(self._look)
            running = self._running
        try:
            return running.result(seconds)
        except TimeoutError:
            raise DatabaseUnavailable from None

    def stop(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
