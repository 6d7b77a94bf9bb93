"""Loopback ports that nobody listens on.

They are drawn below 32768: what Linux gives to outgoing connections lies above, and would now and then be taken
between the look and the use. Drawn at random, two programs that look at the same time hardly meet.
"""

from __future__ import annotations

import random
import socket

_RANGE = range(10_000, 32_000)


def free_port() -> int:
    """A port of 127.0.0.1 that can be listened on."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
