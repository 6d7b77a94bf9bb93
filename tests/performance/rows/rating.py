"""The price of a motor risk, in a process with nothing else in it."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.trees import Tree

NAME = "CPU of a price"
LINES = "CPU of a rating with lines and steps"
_MODULE = f"{CONTENDERS}.rating"
_LINES = f"{CONTENDERS}.rating_lines"
_MOST = 1 / 0.7  # times the CPU of the plain function: at least 0.7 of its prices a second
_SPARE = 120.0  # seconds to start, and to compare all prices


def measure(bench: Bench) -> list[Figure]:
    """CPU time of a price: answers checked, coverages chosen, price with breakdown, and the decision."""
    figures = []
    for name, module, most in ((NAME, _MODULE, 12.0), (LINES, _LINES, _MOST)):
        own = _prices(bench, bench.head, module)
        figures.append(Figure(name, "µs", own["ours"], own["plain"], "one plain function", Target(most)))
        base = _prices(bench, bench.base, module)["ours"] if bench.base and bench.base.holds(module) else []
        figures.append(bench.versus_base(Figure(name, "µs", own["ours"]), base))
    return figures


def _prices(bench: Bench, tree: Tree, module: str) -> dict[str, list[float]]:
    """Microseconds of each round, priced by the platform and by the plain function."""
    rounds, seconds = bench.effort.rounds, bench.effort.seconds / 4
    printed = tree.run(tree.python, "-m", module, str(rounds), str(seconds), seconds=rounds * seconds * 4 + _SPARE)
    prices: dict[str, list[float]] = json.loads(printed)
    return prices
