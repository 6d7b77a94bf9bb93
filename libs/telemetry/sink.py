"""Where log lines go: gathered for a moment, then written at once, at the end of a file that others write to as well.

A write for each line costs more than making it: it gives the interpreter's lock away, and the call that logs waits
to get it back. Our own lines of level `error` are written at once, unless the reader is slow. The others, and those of
libraries, are lost when a process is killed within the moment after them. A log that is full or cannot be written
never stops the work: its lines are lost and counted.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from typing import Any

from libs.telemetry import metrics

_EVERY = 0.05  # seconds
_MOST_WAITING = 50_000  # lines, while the disk or the reader of a pipe does not take them
_PATIENCE = 0.2  # seconds that an error waits until it is written


class Sink:
    """A file, or standard output, that lines are appended to. It never raises: logging must not stop the work."""

    def __init__(self, path: str = "") -> None:
        """A file that cannot be opened is replaced by standard output; `refused` then tells why."""
        self.refused = ""
        self._path = path
        self._descriptor = self._open()
        self._torn = False  # the last line was written in part
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush)

    def append(self, line: str) -> None:
        """Write the line in a moment."""
        if len(self._lines) >= _MOST_WAITING:
            metrics.log_lines_lost.inc()
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Write what there is, now. One write for many lines, so that those of several processes do not mix."""
        if not self._writing.acquire(timeout=_PATIENCE):
            return  # the thread is at it, and whoever reads the log is slow
        try:
            gathered = [self._lines.popleft() for _ in range(len(self._lines))]
            if gathered:
                self._write(gathered)
        finally:
            self._writing.release()

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was moved away; in the old one if that fails."""
        if not self._path or self.refused:
            return
        try:
            fresh = _open(self._path)
        except OSError:
            return
        # Under the same number, at one moment: no lock is needed, and this may be called while one is held.
        os.dup2(fresh, self._descriptor, inheritable=False)
        os.close(fresh)

    def _write(self, lines: list[str]) -> None:
        text = "\n".join(lines) + "\n"
        unwritten = (f"\n{text}" if self._torn else text).encode("utf-8", "replace")
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
            self._torn = False
        except OSError:
            metrics.log_lines_lost.inc(unwritten.count(b"\n"))
            self._torn = True

    def _open(self) -> int:
        if self._path:
            try:
                return _open(self._path)
            except OSError as error:
                self.refused = error.strerror or str(error)
        return sys.stdout.fileno()

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


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
