"""Where lines of the log go: standard output, or a file that many processes write to and that can be rotated.

A line is written by one call of the system, at the end of the file, so that lines of several processes do not mix.
A log that cannot be written never stops the process: its lines are lost and counted.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import BinaryIO

from libs.telemetry import metrics

_STDOUT, _STDERR = 1, 2


class Outlet:
    """A file as `logging` and `structlog` want one, without a buffer."""

    def __init__(self, path: str) -> None:
        """An empty `path` is standard output, and so is a file that cannot be opened; `refused` tells why."""
        self.refused = ""
        self._path = path
        self._torn = False  # the last line was written in part
        self._file = _STDOUT
        if path:
            try:
                self._file = _open(path)
            except OSError as error:
                self.refused = error.strerror or str(error)

    def write(self, text: str) -> int:
        """Append a line, or lose it."""
        data = text.encode("utf-8", "replace")
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(self._file, data)
        except OSError:
            written = 0
        if written < len(data):
            self._torn = self._torn or written > 0
            metrics.log_lines_lost.inc()
        else:
            self._torn = False
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""

    def reopen(self) -> None:
        """Open the path anew, after somebody renamed the file. The old one goes on when that fails."""
        if not self._path or (self.refused and self._file == _STDOUT):
            return
        try:
            new = _open(self._path)
        except OSError as error:
            logging.getLogger("logs").error("log file cannot be opened anew: %s", error)
            return
        # Under the same number, at one moment: no line of another thread falls between the two.
        os.dup2(new, self._file, inheritable=False)
        os.close(new)


def capture_stderr() -> None:
    """Log what C and Rust libraries print to standard error, and what else goes there, line by line.

    The pipe never blocks its writers: what the log cannot take at once is lost. Standard error is put back at the end.
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
            log.log(_level(text), "%s", text)


def _level(text: str) -> int:
    """gRPC begins its lines with the first letter of their level."""
    return {"I": logging.INFO, "W": logging.WARNING}.get(text[0] if text[1:2].isdigit() else "", logging.ERROR)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
