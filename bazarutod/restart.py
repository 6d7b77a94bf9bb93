"""`bazarutod restart`: new processes in the place of those that run, one after another, while callers go on.

The running `bazarutod up` is asked at a socket. A line of JSON names the processes; a line for each comes back when
it has been replaced, or says why it has not.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from bazarutod.running import STATE
from bazarutod.stack import PROCESSES, Process
from bazarutod.supervisor import StartError, Supervisor

_REQUEST_SECONDS = 1.0
_NAMES = tuple(process.name for process in PROCESSES)


class Requests:
    """Where the running platform is asked to restart something."""

    def __init__(self) -> None:
        # Not in the platform's own folder: the name of a socket may have a hundred characters only.
        self._folder = tempfile.TemporaryDirectory(prefix="bazaruto-")
        self.path = str(Path(self._folder.name) / "control")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        self._socket.setblocking(False)

    def serve(self, supervisor: Supervisor, stopping: Callable[[], bool]) -> Iterator[str]:
        """Do what has been asked for, if anything, and tell what was done, until the platform stops."""
        with suppress(BlockingIOError):
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):  # whoever asked may go away; what was begun is finished all the same
                connection.settimeout(_REQUEST_SECONDS)
                names = _requested(connection.makefile().readline())
                for process in [process for process in PROCESSES if process.name in names]:
                    outcome = _replace(supervisor, process, stopping)
                    yield _line(outcome)
                    with suppress(OSError):
                        connection.sendall(json.dumps(outcome).encode() + b"\n")
                    if "error" in outcome:
                        return

    def close(self) -> None:
        """Take no more requests."""
        self._socket.close()
        self._folder.cleanup()


def run(folder: Path, names: Sequence[str], as_json: bool) -> None:
    """Ask the platform of `folder`, print what it answers, and end with 1 when something was not restarted."""
    if unknown := sorted(set(names) - set(_NAMES)):
        raise typer.BadParameter(f"{', '.join(unknown)}: no such process; there are {', '.join(_NAMES)}")
    state = folder / STATE
    if not state.exists():
        sys.exit(f"No platform runs in {folder}.")
    requested = [name for name in _NAMES if name in names or not names]
    done = []
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(json.loads(state.read_text())["control"])
            connection.sendall(json.dumps(requested).encode() + b"\n")
            for line in connection.makefile():
                outcome = json.loads(line)
                done.append(outcome)
                if not as_json:
                    typer.echo(_line(outcome))
    except OSError as error:
        sys.exit(f"The platform of {folder} does not answer: {error}")
    if as_json:
        typer.echo(json.dumps(done))
    if len(done) < len(requested) or "error" in done[-1]:
        sys.exit(f"Not restarted: {', '.join(requested[len([one for one in done if 'error' not in one]) :])}")


def _requested(line: str) -> set[str]:
    try:
        return set(json.loads(line))
    except (ValueError, TypeError):  # it came from no `bazarutod restart`
        return set()


def _replace(supervisor: Supervisor, process: Process, stopping: Callable[[], bool]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        supervisor.replace(process, stopping)
    except StartError as error:
        return {"process": process.name, "error": str(error)}
    return {"process": process.name, "seconds": round(time.monotonic() - started, 2)}


def _line(outcome: dict[str, Any]) -> str:
    if "error" in outcome:
        return f"{outcome['process']}: it goes on as it was, because its successor does not start. {outcome['error']}"
    return f"{outcome['process']:<16}restarted in {outcome['seconds']:.1f} s"
