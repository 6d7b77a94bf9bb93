"""`make bench`: every row with its targets in one table. A missed target is reported, and is no failure.

`python -m tests.performance --rows gateway --quick` measures one row in less than a minute.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tests.performance import history, machine, trees
from tests.performance.bench import Bench
from tests.performance.figures import Figure, Row
from tests.performance.load import CannotMeasure
from tests.performance.platform import SAMPLING
from tests.performance.rounds import Effort
from tests.performance.rows import ROWS, SEPARATE
from tests.performance.table import show

_WIDTH = 190  # of the table where it is written to a file


def main() -> None:
    """Measure, print the table, and keep the figures where they are asked for."""
    asked = _arguments().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    progress = Console(stderr=True, highlight=False)
    started = time.monotonic()

    def tell(step: str) -> None:
        progress.print(f"{time.monotonic() - started:5.0f} s  {step}", style="dim", markup=False, soft_wrap=True)

    with ExitStack() as stack:
        base = None
        try:
            base = stack.enter_context(trees.base(asked.base, tell)) if asked.base else None
        except CannotMeasure as error:
            sys.exit(f"there is nothing to compare with: {error}")
        effort = Effort.quick() if asked.quick else Effort()
        bench = stack.enter_context(Bench(effort, trees.head(), base, history.History.load(), tell))
        facts = [*machine.facts(), *_conditions(bench)]
        rows: list[Row] = []
        try:
            for name in asked.rows or [name for name in ROWS if name not in SEPARATE]:
                rows.append(_measure(bench, name))  # noqa: PERF401 - what is measured is shown when the next one is cut off
        finally:
            facts.append(f"load average at the end {os.getloadavg()[0]:.2f}; {time.monotonic() - started:.0f} s in all")
            _report(rows, facts, asked.json)
        if asked.keep_history and base:
            history.keep(rows, base.revision, facts)


def _report(rows: list[Row], facts: list[str], file: Path | None) -> None:
    if file:
        run = {"machine": facts, "rows": [row.as_json() for row in rows]}
        file.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n")
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print("\n".join(facts), highlight=False, markup=False)
    show(console, rows)


def _arguments() -> argparse.ArgumentParser:
    described = "\n".join(f"  {name:<12}{measures}" for name, measures in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.performance",
        description="Benchmarks, side by side: CPU time is the verdict, requests a second stand beside it.",
        epilog=f"rows, all but {', '.join(SEPARATE)} by default:\n{described}\n\nHow to read the table: "
        "docs/performance.md",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", metavar="COMMIT", help="a commit to compare with, in turn; it is checked out apart")
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="NAME", help="measure only these")
    parser.add_argument("--quick", action="store_true", help="short rounds: shows that it runs, and little more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured value to a file")
    parser.add_argument(
        "--keep-history", action="store_true", help="keep what --base was measured at, for runs without a base"
    )
    return parser


def _conditions(bench: Bench) -> list[str]:
    trees_compared = " against ".join(f"{tree.name} {tree.revision}" for tree in bench.trees)
    return [
        f"{trees_compared}; {bench.effort.rounds} rounds of {bench.effort.seconds:g} s, taking turns",
        f"PostgreSQL as `bazarutod up` starts it, fsync on unless a figure says off; {SAMPLING} of the traces recorded",
    ]


def _measure(bench: Bench, name: str) -> Row:
    """A row; one that cannot be measured says why, and does not keep the others from it."""
    bench.tell(f"measuring {name}")
    bench.row = name
    row = Row(name, ROWS[name])
    try:
        module = importlib.import_module(f"tests.performance.rows.{name.replace('-', '_')}")
        measure: Callable[[Bench], list[Figure]] = module.measure
        row.figures = measure(bench)
    except CannotMeasure as error:
        row.not_run = str(error)
    except Exception as error:  # noqa: BLE001 - the other rows are worth having
        row.not_run = f"{type(error).__name__}: {error}"
    if row.not_run:
        bench.tell(f"{name} was not measured: {row.not_run}")
    return row


if __name__ == "__main__":
    main()
