"""The price of a motor risk, in a process with nothing else in it."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.trees import Tree

NAME = "CPU of a price"
_MODULE = f"{CONTENDERS}.rating"
_SPARE = 120.0  # seconds to start, and to compare all prices


def measure(bench: Bench) -> list[Figure]:
    """CPU time of a price: answers checked, coverages chosen, price with breakdown, and the decision."""
    own = _prices(bench, bench.head)
    figures = [Figure(NAME, "µs", own["ours"], own["plain"], "one plain function", Target(12))]
    base = _prices(bench, bench.base)["ours"] if bench.base and bench.base.holds(_MODULE) else []
    return [*figures, bench.versus_base(Figure(NAME, "µs", own["ours"]), base)]


def _prices(bench: Bench, tree: Tree) -> dict[str, list[float]]:
    """Microseconds of each round, priced by the platform and by the plain function."""
    rounds, seconds = bench.effort.rounds, bench.effort.seconds / 4
    printed = tree.run(tree.python, "-m", _MODULE, str(rounds), str(seconds), seconds=rounds * seconds * 4 + _SPARE)
    prices: dict[str, list[float]] = json.loads(printed)
    return prices
