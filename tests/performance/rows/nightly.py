"""Nightly runs over many policies, as the service registers them, against a tenth of the policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target

_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Night:
    """A nightly run: what it does, the module that carries it out over a database of its own, and its arguments."""

    name: str
    items: str
    module: str
    arguments: tuple[str, ...] = ()


NIGHTS = (
    Night("earning", "policies earned", "nights", ("earning",)),
    Night("dunning", "accounts dunned, one of ten", "nights", ("dunning",)),
    Night("reconciliation", "policies compared", "nights", ("reconciliation",)),
)
OFFERS = Night("renewals", "next terms offered", "offers")


def measure(bench: Bench) -> list[Figure]:
    """Each run over as many policies as take minutes; next terms are offered to fewer."""
    return compared(bench, NIGHTS, bench.effort.policies) + compared(bench, [OFFERS], bench.effort.offers)


def compared(bench: Bench, nights: Sequence[Night], count: int) -> list[Figure]:
    """CPU seconds of a run, PostgreSQL's too, over all policies and over a tenth of them, and the memory it takes."""
    figures = []
    for night in nights:
        run, items = night.name, night.items
        few, many = (_carried_out(bench, night, number) for number in (count // 10, count))
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


def _carried_out(bench: Bench, night: Night, count: int) -> dict[str, float]:
    """What the contender prints."""
    bench.tell(f"{night.name} of {count:,} policies")
    tree, module = bench.head, f"{CONTENDERS}.{night.module}"
    lines = tree.run(tree.python, "-m", module, *night.arguments, str(count), seconds=_SECONDS).splitlines()
    printed: dict[str, float] = json.loads(lines[-1])
    return printed
