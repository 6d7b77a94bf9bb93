"""Loopback ports that nobody listens on.

They are drawn below 32768: what Linux gives to outgoing connections lies above, and would now and then be taken
between the look and the use. Programs that start side by side can name a folder in `DRAWN_PORTS`: a port that one of
them has drawn leaves its number there, and none of them draws it again, also when nobody listens on it yet.
"""

from __future__ import annotations

import os
import random
import socket
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
        if _is_free(port) and (not folder or _is_first(Path(folder) / str(port))):
            return port
    raise NoFreePort(f"there is no free port from {_RANGE.start} to {_RANGE.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_first(mark: Path) -> bool:
    """Make a file; False when somebody has made it already."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
