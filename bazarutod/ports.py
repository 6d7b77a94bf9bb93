"""Loopback ports that nobody listens on.

They are drawn below 32768: what Linux gives to outgoing connections lies above, and would now and then be taken
between the look and the use. Programs that start side by side can name a folder in `DRAWN_PORTS`: a port that one of
them has drawn leaves its number there, and none of them draws it again, also when nobody listens on it yet. The
folders beside it belong to others who draw at the same time; what stands in those is not drawn either.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAWN = "DRAWN_PORTS"
_RANGE = range(10_000, 32_000)
_TRIES = 100_000  # so many that every port was very likely tried


class NoFreePort(OSError):
    """Every port is taken, or was drawn before."""


def free_port() -> int:
    """A port of 127.0.0.1 that can be listened on."""
    folder = os.environ.get(DRAWN)
    for _ in range(_TRIES):
        port = random.choice(_RANGE)  # noqa: S311 - no secret
        if _is_free(port) and (not folder or _is_first(Path(folder), port)):
            return port
    raise NoFreePort(f"there is no free port from {_RANGE.start} to {_RANGE.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_first(folder: Path, port: int) -> bool:
    """Note a port in the folder; False when it stands there already, or in a folder beside it."""
    with _alone(folder.parent):
        if any((other / str(port)).exists() for other in folder.parent.iterdir()):
            return False
        (folder / str(port)).touch()
        return True


@contextmanager
def _alone(register: Path) -> Iterator[None]:
    """One program at a time looks at a register and writes to it."""
    descriptor = os.open(register, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
