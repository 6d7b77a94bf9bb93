"""The driver's side of the load generator: it gives the orders, and sees what they cost the processes measured."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.performance import accounting, machine

CALLERS = 16
"""Requests under way at a time: more than the threads of a service, so that nobody waits for the generator."""
_SPARE = 90.0  # seconds that an order may take on top of its load

Named = Callable[[], Mapping[str, int]]
"""The processes that are paid for, by name: asked for at each burst, as they may have been replaced."""


class CannotMeasure(Exception):
    """A row cannot be measured here; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A burst of requests: how they were answered, latencies in milliseconds, and CPU seconds by process."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failures: Mapping[str, int]
    cpu: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Requests that succeeded in a second."""
        return self.requests / self.seconds

    def cpu_microseconds(self, *names: str) -> float:
        """CPU time for each request: of these processes, or of all when none is named."""
        return sum(self.cpu[name] for name in names or self.cpu) / self.requests * 1e6


def cpu(bursts: Sequence[Burst], *names: str) -> list[float]:
    """Microseconds for each request of each burst: of these processes, or of all when none is named."""
    return [burst.cpu_microseconds(*names) for burst in bursts]


def rates(bursts: Sequence[Burst]) -> list[float]:
    """Requests a second of each burst."""
    return [burst.per_second for burst in bursts]


def tails(bursts: Sequence[Burst]) -> list[float]:
    """The milliseconds within which 99 of 100 requests of each burst were answered."""
    return [burst.p99 for burst in bursts]


class Generator:
    """The load generator, on the driving core until it is closed. One that fails is replaced for the next order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = 0
        self._process: subprocess.Popen[str] | None = None

    def file(self, descriptions: list[dict[str, Any]]) -> str:
        """Write requests down for orders that refer to them."""
        self._files += 1
        path = self._folder / f"requests-{self._files}.json"
        path.write_text(json.dumps(descriptions))
        return str(path)

    def burst(self, named: Named, *, tolerant: bool = False, **order: Any) -> Burst:
        """Carry out an order. `CannotMeasure` when a request failed, unless failures are what is measured."""
        self._process = self._process or self._start()
        measured = named()
        before = accounting.cpu_seconds(measured)
        report = self._carry_out(self._process, order)
        after = accounting.cpu_seconds(measured)
        if "error" in report:
            raise CannotMeasure(report["error"])
        if not report["requests"] or (report["failures"] and not tolerant):
            raise CannotMeasure(f"beside {report['requests']} requests, these failed: {report['failures']}")
        return Burst(**report, cpu={name: after[name] - before[name] for name in measured})

    def close(self) -> None:
        """End the generator."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        with machine.on_cores(machine.DRIVING):
            return subprocess.Popen(
                [sys.executable, "-m", "tests.performance.generator"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is the driver's business
            )

    def _carry_out(self, process: subprocess.Popen[str], order: Mapping[str, Any]) -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        print(json.dumps(order), file=process.stdin, flush=True)
        seconds = order.get("seconds", 0) + _SPARE
        line = ""
        if select.select([process.stdout], [], [], seconds)[0]:
            line = process.stdout.readline()
        if not line:
            self.close()
            raise CannotMeasure(f"the load generator died, or was not done after {seconds:.0f} s")
        report: dict[str, Any] = json.loads(line)
        return report
