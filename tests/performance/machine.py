"""The machine under the benchmark: its cores, and what the results must say about it.

What is measured runs on one core and what drives it (load generator, PostgreSQL) on another, so that neither side is
helped or hindered by where the scheduler happens to put it. Where the whole platform works, it has all cores.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORES = set(os.sched_getaffinity(0))
MEASURED = {min(CORES)}
"""The core of what is measured."""
DRIVING = {max(CORES)}
"""The core of the load generator and of PostgreSQL."""


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Processes that are started within stay on these cores, with all their threads and workers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def facts() -> list[str]:
    """What somebody must know who compares the figures with those of another machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    described = [
        f"CPU {model}, {len(CORES)} cores, {memory:.0f} GiB",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"load average at the start {os.getloadavg()[0]:.2f}",
    ]
    if len(CORES) == 1:
        return [*described, "only one core: the load generator competes with what it measures"]
    measured, driving = min(MEASURED), min(DRIVING)
    return [*described, f"reads are measured on core {measured}; load generator and PostgreSQL on core {driving}"]


def revision(folder: Path) -> str:
    """The commit of a tree in short, with a mark when it has changes that are not committed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=7"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return described.stdout.strip() or "unknown"
