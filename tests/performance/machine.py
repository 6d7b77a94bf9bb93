"""The machine under the benchmark: its cores, what a process costs, and what the results must say about it.

What is measured runs on one core and everything that drives it (load generator, PostgreSQL) on another, so that
neither side is ever helped or hindered by where the scheduler happens to put it.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

_CORES = sorted(os.sched_getaffinity(0))
MEASURED = _CORES[0]
"""The core of what is measured."""
DRIVING = _CORES[-1]
"""The core of the load generator and of PostgreSQL."""


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes that are started within stay on this core, with all their threads and workers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """What a process and its workers have used so far, in user and in kernel mode."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(float(used.user + used.system) for used in times)


def resident_mebibytes(pid: int) -> float:
    """Resident memory of a process and its workers; pages that they share are counted in each."""
    parent = psutil.Process(pid)
    return sum(_resident(process.pid) for process in (parent, *parent.children(recursive=True))) / 1024


def _resident(pid: int) -> int:
    """In KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def facts() -> list[str]:
    """What somebody must know who compares the figures with those of another machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    told = [
        f"CPU {model}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, code {_revision()}",
        f"load average at the start {os.getloadavg()[0]:.2f}",
    ]
    if MEASURED == DRIVING:
        return [*told, "only one core: the load generator competes with what it measures, the figures are too low"]
    return [*told, f"measured on core {MEASURED}; load generator and PostgreSQL on core {DRIVING}"]


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def run_bounded(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program on the driving core; it never takes longer than `seconds`."""
    with on_core(DRIVING):
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
