"""The jobs that run in this process, and since when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

Run = tuple[int, int]
"""A worker's id and a job's: after an absence of the database a job may run twice here, for the worker that lost it
and for the one that took it."""


class UnderWay:
    """Threads of jobs write it, the loop reads it."""

    def __init__(self) -> None:
        self._starts: dict[Run, float] = {}

    @contextmanager
    def noted(self, worker_id: int, job_id: int) -> Iterator[float]:
        """A job runs within; gives the moment of its start."""
        start = self._starts[worker_id, job_id] = time.monotonic()
        try:
            yield start
        finally:
            del self._starts[worker_id, job_id]

    def all(self) -> set[Run]:
        """What runs now."""
        return set(self._starts)

    def longer_than(self, seconds: float) -> set[Run]:
        """What has run for longer."""
        limit = time.monotonic() - seconds
        return {run for run, start in list(self._starts.items()) if start < limit}

    def only(self, runs: set[Run]) -> bool:
        """Whether these run, and nothing else does."""
        return bool(runs) and self.all() == runs
