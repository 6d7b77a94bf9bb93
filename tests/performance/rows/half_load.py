"""How long callers wait where there is room: they come at half of the rate that each contender was seen to answer.

They do not wait for those before them, so that a pause is felt by everybody who comes during it.
"""

from __future__ import annotations

from contextlib import ExitStack

from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import rates, tails
from tests.performance.readers import at_rate, closed, monolith, platform_reader
from tests.performance.rounds import take_turns
from tests.performance.rows.reading import FASTEST, FORMS, MEASURED, USUAL

NAME = "p99 at half load"


def measure(bench: Bench) -> list[Figure]:
    """The tail of the latencies, and the rate at which each was asked."""
    with ExitStack() as running:
        readers = {tree.name: platform_reader(bench, tree, *MEASURED) for tree in bench.trees}
        readers |= {name: monolith(bench, running, form) for name, form in FORMS.items()}
        capacities = {}
        for name, reader in readers.items():
            callers = closed(bench, reader)
            callers(bench.effort.warm_up)
            capacities[name] = callers(bench.effort.seconds).per_second
        contenders = {name: at_rate(bench, reader, capacities[name] / 2) for name, reader in readers.items()}
        bursts = take_turns(bench.effort, contenders, warm_up=False)
    own, base = bursts["HEAD"], bursts.get("BASE", [])
    fastest, usual = bursts[FASTEST], bursts[USUAL]
    return [
        Figure(
            NAME, "ms", tails(own), tails(fastest), FASTEST, Target(1), rates=rates(own), other_rates=rates(fastest)
        ),
        Figure(NAME, "ms", tails(own), tails(usual), USUAL, rates=rates(own), other_rates=rates(usual)),
        bench.versus_base(Figure(NAME, "ms", tails(own), rates=rates(own)), tails(base), rates(base)),
    ]
