"""`make bench`: every figure with its target in one table. A missed target is reported, not a failure.

`python -m tests.performance --only envoy --quick` measures one thing in a few seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.performance import machine
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort
from tests.performance.table import Figure, show

# In the order of the table. A module is imported when its turn comes, so that one that cannot be imported
# does not keep the others from being measured.
FIGURES = {
    "monolith": "reading",
    "envoy": "gateway",
    "bare": "chain",
    "rating": "rating",
    "purchases": "purchases",
    "starting": "starting",
    "silence": "telemetry",
    "recovery": "recovery",
    "restarting": "restarting",
}


def main() -> None:
    """Measure, print the table, and keep the figures where they are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description="Benchmarks, side by side.")
    parser.add_argument("--only", choices=FIGURES, action="append", help="measure this alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="short rounds: shows that it runs, and little more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured value to a file")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    facts = machine.facts()
    console.print("\n".join(facts), highlight=False)
    effort = Effort.quick() if chosen.quick else Effort()
    figures: list[Figure] = []
    for name in chosen.only or FIGURES:
        console.print(f"measuring {name} …", style="dim")
        figures += _measure(name, effort)
    show(console, figures)
    console.print(f"load average at the end {os.getloadavg()[0]:.2f}", highlight=False)
    if chosen.json:
        found = {"machine": facts, "figures": [figure.as_json() for figure in figures]}
        chosen.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _measure(name: str, effort: Effort) -> list[Figure]:
    """The figures of one module; one line that says why where they cannot be measured."""
    try:
        measure: Callable[[Effort], list[Figure]] = importlib.import_module(
            f"tests.performance.rows.{FIGURES[name]}"
        ).measure
        return measure(effort)
    except CannotMeasure as error:
        reason = str(error)
    except subprocess.TimeoutExpired as error:
        reason = f"{error.cmd[0]} took longer than {error.timeout:.0f} s"
    except Exception as error:  # noqa: BLE001 - the other figures are worth having
        reason = f"{type(error).__name__}: {error}"
    return [Figure(name, "", not_run=reason)]


if __name__ == "__main__":
    main()
