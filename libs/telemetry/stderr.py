"""Standard error as lines of the log: what C and Rust libraries print there would not be JSON otherwise."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import BinaryIO

_STDERR = 2
_LEVELS = {"I": logging.INFO, "W": logging.WARNING}


def capture() -> None:
    """Log what is printed to standard error, line by line, until the process ends.

    The pipe never blocks its writers: what the log cannot take at once is lost.
    """
    original = os.dup(_STDERR)
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.dup2(write, _STDERR)
    os.close(write)
    reader = threading.Thread(target=_log_lines, args=(os.fdopen(read, "rb"),), name="stderr", daemon=True)
    reader.start()

    def put_back() -> None:
        sys.stderr.flush()
        os.dup2(original, _STDERR)
        reader.join(1.0)

    atexit.register(put_back)


def _log_lines(pipe: BinaryIO) -> None:
    log = logging.getLogger("stderr")
    for raw in pipe:
        if text := raw.decode("utf-8", "replace").strip():
            log.log(level_of(text), "%s", text)


def level_of(text: str) -> int:
    """gRPC begins its lines with the first letter of their level and a date: `I0000 00:00:17 …`."""
    return _LEVELS.get(text[0], logging.ERROR) if text[1:5].isdigit() else logging.ERROR
