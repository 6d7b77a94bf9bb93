"""Where log lines go: gathered for a moment, then written at once.

A write for each line costs more than making it: it gives the interpreter's lock away, and the call that logs waits
to get it back. Lines of level `error` are written at once; the others are lost only when a process is killed within
the moment after them.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Any

_EVERY = 0.05  # seconds


class Sink:
    """A file, or standard output, that lines are appended to. It never raises: logging must not stop the work."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._descriptor = self._open()
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush)

    def append(self, line: str) -> None:
        """Write the line in a moment."""
        self._lines.append(line)
        self._wake.set()

    def flush(self) -> None:
        """Write what there is, now. One write for many lines, so that those of several processes do not mix."""
        with self._writing, suppress(OSError):  # a full disk costs the log, not the call
            gathered = [self._lines.popleft() for _ in range(len(self._lines))]
            data = "".join(f"{line}\n" for line in gathered).encode("utf-8", "replace")
            while data:
                data = data[os.write(self._descriptor, data) :]

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was moved away."""
        self.flush()
        with self._writing, suppress(OSError):
            fresh, old = self._open(), self._descriptor
            self._descriptor = fresh
            if self._path:
                os.close(old)

    def _open(self) -> int:
        if not self._path:
            return sys.stdout.fileno()
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def _run(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            self.flush()
            threading.Event().wait(_EVERY)


class SinkLogger:
    """What structlog calls with a finished line, by level."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.msg = sink.append
        self._sink = sink

    def error(self, line: str) -> None:
        """An error must be there even when it was the last thing that happened."""
        self._sink.append(line)
        self._sink.flush()

    critical = exception = fatal = error


class SinkStream:
    """The same as a stream, for the handler of the standard library's loggers."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, text: str) -> Any:
        """Take a line with its end."""
        if line := text.rstrip("\n"):
            self._sink.append(line)

    def flush(self) -> None:
        """Left to the sink."""
