"""A nightly run over many policies: a month of premium earned, as the job does it, against a tenth of the policies."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.trees import Tree

_MODULE = f"{CONTENDERS}.earning"
_SECONDS = 1200.0


def measure(bench: Bench) -> list[Figure]:
    """CPU seconds of the process for all policies and for a tenth of them, and how much memory that takes."""
    count = bench.effort.policies
    few, many = (_earned(bench.head, number) for number in (count // 10, count))
    return [
        Figure(f"earning {count:,} policies", "a second", [count / many["elapsed"]]),
        Figure(
            f"CPU of earning {count:,} policies", "s", [many["seconds"]], [few["seconds"]], f"{count // 10:,}",
            Target(11),
        ),
        Figure("memory that grew on the way", "MiB", [many["grown"]], target=Target(20)),
    ]  # fmt: skip


def _earned(tree: Tree, count: int) -> dict[str, float]:
    """What the contender prints."""
    printed: dict[str, float] = json.loads(
        tree.run(tree.python, "-m", _MODULE, str(count), seconds=_SECONDS).splitlines()[-1]
    )
    return printed
