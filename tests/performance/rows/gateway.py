"""What the gateway costs, against Envoy's transcoder in front of the same service."""

from __future__ import annotations

from contextlib import ExitStack

from tests.performance import envoy
from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import cpu, rates
from tests.performance.readers import closed, platform_reader
from tests.performance.rounds import take_turns
from tests.performance.rows.reading import MEASURED

NAME = "CPU of the front"
_ENVOY = "Envoy's transcoder"


def measure(bench: Bench) -> list[Figure]:
    """CPU time of the front alone for each request."""
    with ExitStack() as running:
        readers = {tree.name: platform_reader(bench, tree, *MEASURED) for tree in bench.trees}
        readers[_ENVOY] = envoy.reader(bench, running)
        bursts = take_turns(bench.effort, {name: closed(bench, reader) for name, reader in readers.items()})
    own, other = bursts["HEAD"], bursts[_ENVOY]
    return [
        Figure(
            NAME, "µs", cpu(own, "gateway"), cpu(other), _ENVOY, Target(1.5), rates=rates(own), other_rates=rates(other)
        ),
        bench.cpu_versus_base(NAME, bursts, "gateway"),
    ]
