"""Nightly runs over many policies, as the service registers them, against a tenth of the policies."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.trees import Tree

_MODULE = f"{CONTENDERS}.nights"
_SECONDS = 1200.0
_RUNS = {
    "earning": "policies earned",
    "dunning": "accounts dunned, one of ten",
    "reconciliation": "policies compared",
}


def measure(bench: Bench) -> list[Figure]:
    """CPU seconds of a run, PostgreSQL's too, over all policies and over a tenth of them, and the memory it takes."""
    count = bench.effort.policies
    figures = []
    for run, items in _RUNS.items():
        few, many = (_carried_out(bench.head, run, number) for number in (count // 10, count))
        figures += [
            Figure(f"{run}: {items}", "a second", [many["done"] / many["elapsed"]]),
            Figure(f"{run}: CPU of each", "µs", [many["seconds"] / many["done"] * 1e6]),
            Figure(
                f"{run}: CPU of {count:,} policies", "s", [many["seconds"]], [few["seconds"]], f"{count // 10:,}",
                Target(11),
            ),
            Figure(f"{run}: memory that grew on the way", "MiB", [many["grown"]], target=Target(20)),
        ]  # fmt: skip
    return figures


def _carried_out(tree: Tree, run: str, count: int) -> dict[str, float]:
    """What the contender prints."""
    printed: dict[str, float] = json.loads(
        tree.run(tree.python, "-m", _MODULE, run, str(count), seconds=_SECONDS).splitlines()[-1]
    )
    return printed
