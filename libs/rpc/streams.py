"""The streams of a process. Each holds a thread, so that there is an end to them: for all, and for each caller."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from libs.errors import Exhausted
from libs.rpc import calls

TOGETHER = 32  # streams at the same time
OF_ONE = 4  # of one caller, so that nobody takes all of them
_REFUSING = 2  # threads in which those who come too late hear so at once


class TooManyStreams(Exhausted):
    """The process serves as many streams as it can, or as many of this caller as it will."""

    reason = "OVERLOADED"


class Streams:
    """The streams that run now, at most `TOGETHER`, in a pool of threads of their own."""

    def __init__(self) -> None:
        # The library runs a stream in this pool, so that watchers never take the threads of short calls.
        self.pool = ThreadPoolExecutor(TOGETHER + _REFUSING, "stream")
        self._lock = threading.Lock()
        self._of: Counter[str] = Counter()

    def limited(self, servicer: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The same, refused with `TooManyStreams` when there are too many."""

        def serve(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._counted(calls.caller().subject):
                yield from servicer(request, context)

        return serve

    @contextmanager
    def _counted(self, caller: str) -> Iterator[None]:
        with self._lock:
            if self._of.total() >= TOGETHER or self._of[caller] >= OF_ONE:
                raise TooManyStreams
            self._of[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of[caller] -= 1
                self._of += Counter()  # forgets who has none
