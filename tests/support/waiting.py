"""Waiting for conditions, and times that do not depend on what else the machine does."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 90.0  # seconds; only a test that fails waits so long, however busy the machine


def until(holds: Callable[[], object], reason: str | Callable[[], str] = "", seconds: float = PATIENCE) -> float:
    """Wait until something holds; gives the seconds it took. It fails with the reason when it never does."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds} s: {reason() if callable(reason) else reason}")
        time.sleep(0.02)
    return time.monotonic() - start


def quickest(holds: Callable[[], object], times: int = 3) -> float:
    """The seconds of the quickest of some tries, each of which must hold: a busy machine can only add to them."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        assert holds()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
