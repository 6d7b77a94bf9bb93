"""Starting and stopping the processes of the platform on one machine: for development and for the tests.

Processes start as soon as what they need is ready, and are ready when they say so themselves: services by the
gRPC health protocol, the gateway at `/readyz`, workers at `/metrics`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.config import Settings
from libs.stack import PROCESSES, Process

READY_SECONDS = 60.0
_LOOK_EVERY = 0.05
_STOP_SECONDS = 25.0


class StartError(RuntimeError):
    """A process did not become ready; the message holds the end of its log."""


@dataclass(slots=True)
class _Running:
    process: Process
    handle: subprocess.Popen[bytes]
    ready: bool = False


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
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, processes: Iterable[Process] = PROCESSES, told: Callable[[str], None] = lambda name: None) -> None:
        """Start processes and wait until all are ready; `told` hears of each. `StartError` names the culprit."""
        waiting = list(processes)
        deadline = time.monotonic() + READY_SECONDS
        while waiting or not all(running.ready for running in self._running.values()):
            for process in [p for p in waiting if all(self.is_ready(name) for name in p.needs)]:
                waiting.remove(process)
                self.spawn(process)
            for running in self._running.values():
                if not running.ready and running.handle.poll() is not None:
                    raise StartError(f"{running.process.name} ended at start:\n{self.tail(running.process.name)}")
                if not running.ready and answers(self._settings, running.process):
                    running.ready = True
                    told(running.process.name)
            if time.monotonic() > deadline:
                late = ", ".join(name for name, running in self._running.items() if not running.ready)
                raise StartError(f"not ready after {READY_SECONDS:.0f} s: {late}\n{self.tail(late.split(', ')[0])}")
            time.sleep(_LOOK_EVERY)

    def spawn(self, process: Process) -> None:
        """Start one process, without waiting for it."""
        with (self._logs / f"{process.name}.log").open("ab") as log:
            handle = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", process.module, process.verb],
                env=self._environment,
                cwd=self._code,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal reaches the supervisor only, which ends the others in order.
                start_new_session=True,
            )
        self._running[process.name] = _Running(process, handle)

    def is_ready(self, name: str) -> bool:
        """Whether the process has become ready."""
        return name in self._running and self._running[name].ready

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

    def stop(self, told: Callable[[str], None] = lambda name: None) -> None:
        """End all processes: the gateway, then the workers, then the servers; what does not go is killed."""
        for belongs in (_is_gateway, _is_worker, _is_server):
            going = [running for running in self._running.values() if belongs(running.process)]
            for running in going:
                if running.handle.poll() is None:
                    running.handle.terminate()
            deadline = time.monotonic() + _STOP_SECONDS
            for running in going:
                try:
                    running.handle.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.kill(running.process.name)
                told(running.process.name)
        self._running.clear()

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        path = self._logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def answers(settings: Settings, process: Process) -> bool:
    """Whether a process can do its work, as it says itself where the configuration has it listen."""
    if _is_gateway(process):
        return http_ok(f"http://{settings.gateway.listen}/readyz")
    service = settings.services[process.service]
    return serving(service.listen) if process.verb == "serve" else http_ok(f"http://{service.worker_metrics}")


def _is_gateway(process: Process) -> bool:
    return process.module == "gateway.main"


def _is_worker(process: Process) -> bool:
    return process.verb == "work"


def _is_server(process: Process) -> bool:
    return not _is_gateway(process) and not _is_worker(process)


def http_ok(url: str) -> bool:
    """Whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of our own
            return bool(answer.status == 200)
    except OSError:
        return False


def serving(address: str) -> bool:
    """Whether a server says by the gRPC health protocol that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
