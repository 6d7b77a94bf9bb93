"""Starting and stopping the processes of the platform on one machine: for development and for the tests.

Processes start as soon as what they need is ready, and are ready when they say so themselves. One that is replaced
goes on until its successor is ready: the two share the port, and the gateway's socket outlives both.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bazarutod.stack import PROCESSES, Process
from libs import listening, readiness
from libs.config import Settings
from libs.process import TAKE_OVER

READY_SECONDS = 180.0  # a slow machine that is busy needs most of it; one that ended is noticed at once
_LOOK_EVERY = 0.05
_STOP_SECONDS = 30.0  # after the drain: 25 for calls under way, and a little to close
_TAIL_BYTES = 1 << 20


class StartError(RuntimeError):
    """A process did not become ready; the message holds the end of its log."""


@dataclass(slots=True)
class _Running:
    process: Process
    handle: subprocess.Popen[bytes]
    awaited: readiness.Awaited

    @property
    def ready(self) -> bool:
        return self.awaited.is_ready


class Supervisor:
    """The processes of one platform.

    `environment` is what they are configured by, `logs` where they write, `code` the tree whose modules they run.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], logs: Path, code: Path | None = None
    ) -> None:
        self._settings = settings
        self._environment = dict(environment)
        self._logs = logs
        self._code = code
        self._running: dict[str, _Running] = {}
        self._door: socket.socket | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        processes: Iterable[Process] = PROCESSES,
        on_ready: Callable[[str], None] = lambda name: None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start processes and wait until all are ready, or it is given up; `on_ready` hears of each.

        `StartError` names the culprit.
        """
        waiting = list(processes)
        starting: set[str] = set()
        deadline = time.monotonic() + READY_SECONDS
        while waiting or starting:
            if given_up():
                raise StartError("it is not waited for any more")
            for process in [p for p in waiting if all(self.is_ready(name) for name in p.needs)]:
                waiting.remove(process)
                self.spawn(process)
                starting.add(process.name)
            for name in sorted(starting):
                if self._has_become_ready(self._running[name], deadline):
                    starting.remove(name)
                    on_ready(name)
            time.sleep(_LOOK_EVERY)

    def spawn(self, process: Process, *, takes_over: bool = False) -> None:
        """Start one process, without waiting for it; `takes_over` lets it share the ports of the one before it."""
        if process.name in self._running and not takes_over:
            self._running[process.name].awaited.close()
        awaited = readiness.Awaited()
        environment = self._environment | awaited.environment
        passed: tuple[int, ...] = ()
        command = [sys.executable, "-m", process.module, process.verb]
        if _is_gateway(process):
            passed = (self._open_door().fileno(),)
            environment[listening.PASSED] = str(passed[0])
        elif takes_over:
            command.append(TAKE_OVER)
        with (self._logs / f"{process.name}.log").open("ab") as log:
            handle = subprocess.Popen(  # noqa: S603 - our own modules
                command,
                env=environment,
                cwd=self._code,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                # Ctrl-C in a terminal reaches the supervisor only, which ends the others in order.
                start_new_session=True,
            )
        self._running[process.name] = _Running(process, handle, awaited)

    def replace(self, process: Process, given_up: Callable[[], bool] = lambda: False) -> None:
        """Put a new process in the place of a running one, without a moment in which nobody answers.

        `StartError` when the new one does not become ready, or when it is given up; the old one goes on then.
        """
        old = self._running[process.name]
        self.spawn(process, takes_over=True)
        deadline = time.monotonic() + READY_SECONDS
        try:
            while not self._has_become_ready(self._running[process.name], deadline):
                if given_up():
                    raise StartError(f"{process.name} is not ready yet, and is not waited for any more")
                time.sleep(_LOOK_EVERY)
        except StartError:
            self._end([self._running[process.name]])
            self._running[process.name] = old
            raise
        self._end([old])

    def is_ready(self, name: str) -> bool:
        """Whether the process has become ready."""
        return name in self._running and self._running[name].ready

    def _has_become_ready(self, running: _Running, deadline: float) -> bool:
        name = running.process.name
        if running.ready:
            return True
        if running.handle.poll() is not None:
            raise StartError(f"{name} ended at start:\n{self.tail(name)}")
        if time.monotonic() > deadline:
            raise StartError(f"{name} is not ready after {READY_SECONDS:.0f} s:\n{self.tail(name)}")
        return False

    def _open_door(self) -> socket.socket:
        """The gateway's socket. Callers that come while no gateway accepts them wait in it."""
        if self._door is None:
            self._door = listening.open_socket(self._settings.gateway.listen)
        return self._door

    def dead(self) -> list[Process]:
        """Processes that ended by themselves."""
        return [running.process for running in self._running.values() if running.handle.poll() is not None]

    def pid(self, name: str) -> int:
        """The process id."""
        return self._running[name].handle.pid

    def kill(self, name: str) -> None:
        """End a process at once, as a crash would."""
        handle = self._running[name].handle
        os.killpg(handle.pid, signal.SIGKILL)
        handle.wait()

    def stop(self, on_stopped: Callable[[str], None] = lambda name: None) -> None:
        """End all processes: the gateway, then the workers, then the servers; what does not go is killed."""
        for belongs in (_is_gateway, _is_worker, _is_server):
            self._end([running for running in self._running.values() if belongs(running.process)], on_stopped)
        self._running.clear()
        if self._door is not None:
            self._door.close()
            self._door = None

    def _end(self, going: Sequence[_Running], on_stopped: Callable[[str], None] = lambda name: None) -> None:
        for running in going:
            if running.handle.poll() is None:
                running.handle.terminate()
        deadline = time.monotonic() + self._settings.drain.total_seconds() + _STOP_SECONDS
        for running in going:
            try:
                running.handle.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(running.handle.pid, signal.SIGKILL)
                running.handle.wait()
            running.awaited.close()
            on_stopped(running.process.name)

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of what a process said: in its own file, or in the one that all of them log to."""
        path = self._logs / f"{name}.log"
        said = path.read_text(errors="replace").splitlines() if path.exists() else []
        if not said and self._settings.log_file:
            said = _lines_of(name, Path(self._settings.log_file))
        return "\n".join(said[-lines:])


def _lines_of(component: str, file: Path) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        end = log.read().decode(errors="replace").splitlines()
    return [line for line in end if f'"component":"{component}"' in line]


def _is_gateway(process: Process) -> bool:
    return process.module == "gateway.main"


def _is_worker(process: Process) -> bool:
    return process.verb == "work"


def _is_server(process: Process) -> bool:
    return not _is_gateway(process) and not _is_worker(process)
