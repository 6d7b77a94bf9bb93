"""What time it is. Nothing else of the platform asks the computer; a linter sees to it.

There are two clocks. `now` is that of the domain: of offers, contracts, bills and of everything that is written down
about them. `real_now` and its like are for what has to agree with other machines and with people who wait: tokens,
sessions, limits, retries, heartbeats, idempotency keys, logs and housekeeping. How long something takes is neither
one's business: that is measured with `time.monotonic` and `time.perf_counter`.

Outside production the clock of the domain can be moved forward: a file says by how much (`follow`), and
`bazarutod clock` writes it. It never goes back while a process runs, whatever becomes of the file.

Rules take the moment as an argument: servicers and jobs ask here.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

LOOK_EVERY: Final = 0.005  # seconds; a process hears of a moved clock no later than this
OFFSET: Final = "offset_microseconds"  # the key of the file; what else is in it is of no interest here


class _Offset:
    """By how much the clock of the domain is ahead, as a file says. Every thread of the process asks."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._read = threading.Lock()
        self._version: tuple[int, int] | None = None  # of the file that was read last
        self._offset = timedelta()
        self._next_look = 0.0
        if file is not None:
            self._look(file)

    def get(self) -> timedelta:
        """The offset of now. It looks at the file now and then, because most calls must cost nothing."""
        if self._file is not None and time.monotonic() >= self._next_look and self._read.acquire(blocking=False):
            try:
                self._look(self._file)
            finally:
                self._read.release()
        return self._offset

    def _look(self, file: Path) -> None:
        self._next_look = time.monotonic() + LOOK_EVERY
        try:
            status = file.stat()
        except OSError:  # the clock has not been moved yet, or somebody took the file away
            return
        version = (status.st_mtime_ns, status.st_ino)
        if version != self._version:
            self._offset = max(self._offset, offset_in(file))
            self._version = version


_offset = _Offset(None)


def follow(file: Path | None) -> None:
    """Let this process's clock of the domain be ahead by what `file` says, now and whenever that changes.

    A file that is not there yet moves nothing; without one the clock is that of the machine. `ValueError` when the
    file holds something else than an offset.
    """
    global _offset
    _offset = _Offset(file)


def offset_in(file: Path) -> timedelta:
    """The offset that a file holds; none when there is no file. `ValueError` when it holds something else."""
    try:
        microseconds = json.loads(file.read_text())[OFFSET]
    except FileNotFoundError:
        return timedelta()
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise ValueError(f"{file} says nothing of the clock that can be read: {error!r}") from error
    if not isinstance(microseconds, int) or not 0 <= microseconds <= _LONGEST:
        raise ValueError(f"{file} moves the clock by {microseconds!r} µs; it can only be moved forward, and not so far")
    return timedelta(microseconds=microseconds)


_LONGEST = timedelta(days=200 * 365) // timedelta(microseconds=1)


def offset() -> timedelta:
    """By how much the clock of the domain is ahead of this machine's."""
    return _offset.get()


def now() -> datetime:
    """The moment that it is for the domain, in UTC."""
    return datetime.now(UTC) + _offset.get()


def real_now() -> datetime:
    """The moment that it is on this machine, in UTC."""
    return datetime.now(UTC)


def real_seconds() -> float:
    """Seconds since 1970 on this machine, as tokens count them."""
    return time.time()


def real_nanoseconds() -> int:
    """Nanoseconds since 1970 on this machine."""
    return time.time_ns()
