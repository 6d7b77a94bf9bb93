"""Stored quotes rated again with a version of their product, as the job of an analysis does it."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.trees import Tree

_MODULE = f"{CONTENDERS}.rate_change"
_SECONDS = 600.0


def measure(bench: Bench) -> list[Figure]:
    """CPU seconds of rating all of them, and how much memory that takes beyond the first two thousand."""
    count = bench.effort.quotes
    own = _analyzed(bench.head, count)
    name = f"CPU of rating {count:,} quotes again"
    base = [_analyzed(bench.base, count)["seconds"]] if bench.base and bench.base.holds(_MODULE) else []
    return [
        Figure(name, "s", [own["seconds"]], target=Target(30)),
        Figure("memory that grew on the way", "MiB", [own["grown"]], target=Target(20)),
        bench.versus_base(Figure(name, "s", [own["seconds"]]), base),
    ]


def _analyzed(tree: Tree, count: int) -> dict[str, float]:
    """What the contender prints."""
    printed: dict[str, float] = json.loads(
        tree.run(tree.python, "-m", _MODULE, str(count), seconds=_SECONDS).splitlines()[-1]
    )
    return printed
