"""A platform to operate: several workers, one log file, a Redis that can be stopped; and ways to look at it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from bazarutod import embedded
from bazarutod.stack import PROCESSES
from tests.support.platform import Platform, running_platform
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

# What nobody retries: a test asks for exactly what it counts.
TIMEOUT = 30.0
_GATHERED = 0.3  # seconds; six times what libs/telemetry/sink.py waits


@dataclass(frozen=True)
class Operated:
    """The platform and what an operator does with it."""

    platform: Platform
    redis: RedisServer
    log_file: Path

    def get(self, path: str) -> httpx.Response:
        """Ask the gateway, once."""
        return httpx.get(f"{self.platform.url}{path}", timeout=TIMEOUT)

    def lines(self, *, after: int = 0) -> list[dict[str, Any]]:
        """What was logged behind the position `after`, by all processes. Every whole line must be JSON."""
        return self.lines_of(self.log_file, after=after)

    def lines_of(self, path: Path, *, after: int = 0) -> list[dict[str, Any]]:
        """The same of a log that was moved."""
        text = path.read_bytes()[after:]
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    def mark(self) -> int:
        """Where the log ends, when it has not grown for longer than a process gathers lines before it writes them."""
        size, since = self.log_file.stat().st_size, time.monotonic()
        while time.monotonic() - since < _GATHERED:
            time.sleep(0.02)
            if (grown := self.log_file.stat().st_size) != size:
                size, since = grown, time.monotonic()
        return size

    def pids(self) -> list[int]:
        """The process that is signalled for each process of the platform."""
        return [self.platform.supervisor.pid(process.name) for process in PROCESSES]

    def metrics_of(self, name: str) -> str:
        """The page of one process."""
        return httpx.get(f"{self.platform.address_of(name)}/metrics", timeout=TIMEOUT).text

    def _is_well(self) -> bool:
        """Whether the gateway says so again and again: each of its workers, by connections of their own."""
        return all(self.get("/healthz").status_code == self.get("/readyz").status_code == 200 for _ in range(8))

    def _shows_metrics(self, name: str) -> bool:
        try:
            return httpx.get(f"{self.platform.address_of(name)}/metrics", timeout=TIMEOUT).is_success
        except httpx.TransportError:
            return False

    def sample(self, process: str, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics_of(process))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def postmaster(self) -> psutil.Process:
        """The process of PostgreSQL that starts the others."""
        return psutil.Process(int((self.platform.postgres.folder / "postmaster.pid").read_text().splitlines()[0]))

    @contextmanager
    def postgres_stopped(self) -> Iterator[None]:
        """PostgreSQL is not there within."""
        self.platform.postgres.stop()
        try:
            yield
        finally:
            self.start_postgres()

    def start_postgres(self) -> None:
        """Start it where it was."""
        port = self.platform.postgres.port
        embedded.start(self.platform.postgres.folder, throwaway=True, options=(f"port={port}",))

    def recover(self) -> None:
        """Wait until every process is well."""
        for process in PROCESSES:
            until(partial(self._shows_metrics, process.name), partial(self._last_words, process.name))
        until(self._is_well)

    def _last_words(self, name: str) -> str:
        return f"{name} said last: {[line for line in self.lines() if line['component'] == name][-5:]}"

    @contextmanager
    def postgres_frozen(self) -> Iterator[None]:
        """PostgreSQL holds its connections within, and does nothing."""
        postmaster = self.postmaster
        postmaster.send_signal(signal.SIGSTOP)  # first, so that no more processes come
        frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in frozen[1:]:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in frozen:
                process.send_signal(signal.SIGCONT)


@contextmanager
def operated_platform() -> Iterator[Operated]:
    """Start it: two gateway workers, two copies of users, one log file for all."""
    redis = RedisServer()
    with tempfile.TemporaryDirectory(prefix="bazaruto-log-") as folder:
        log_file = Path(folder) / "app.log"
        try:
            with running_platform(
                BAZARUTO_LOG_FILE=str(log_file),
                BAZARUTO_GATEWAY__WORKERS="2",
                BAZARUTO_SERVICES__USERS__WORKERS="2",
                BAZARUTO_REDIS__URL=redis.url,
                BAZARUTO_DB__SLOW_QUERY="200ms",
            ) as platform:
                yield Operated(platform, redis, log_file)
        finally:
            redis.stop()


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, as an operator's script would."""
    for pid in pids:
        os.kill(pid, number)
