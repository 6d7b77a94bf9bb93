"""Figure 6: how long a process needs before its main can begin, interpreter included."""

from __future__ import annotations

import subprocess
import sys
import time

from bazarutod.stack import PROCESSES
from tests.performance import machine
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort
from tests.performance.table import Figure, Target

_LONGEST = 60.0  # seconds
_TARGET = Target(1.0)


def measure(effort: Effort) -> list[Figure]:
    """Import time of each main in a new interpreter. The gateway imports most of itself in its worker."""
    modules = [*dict.fromkeys(process.module for process in PROCESSES), "gateway.worker"]
    figures = []
    for module in modules:
        try:
            _import(module)  # compiles what has never been imported
            figures.append(
                Figure(f"cold import of {module}", "s", [_import(module) for _ in range(effort.starts)], target=_TARGET)
            )
        except CannotMeasure as error:
            figures.append(Figure(f"cold import of {module}", "s", target=_TARGET, not_run=str(error)))
    return figures


def _import(module: str) -> float:
    begun = time.perf_counter()
    with machine.on_core(machine.MEASURED):
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, timeout=_LONGEST, check=False
        )
    if done.returncode:
        raise CannotMeasure(f"import {module} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begun
