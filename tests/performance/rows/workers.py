"""Two workers of gateway and service at one port, against one of each, with all cores to themselves and the others."""

from __future__ import annotations

from contextlib import ExitStack

from tests.performance import machine
from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.performance.load import cpu, rates, tails
from tests.performance.readers import closed, pair
from tests.performance.rounds import take_turns


def measure(bench: Bench) -> list[Figure]:
    """CPU time of gateway, service and PostgreSQL for each request, requests a second, and the tail."""
    with ExitStack() as running:
        bench.site(bench.head).platform.place()
        contenders = {}
        for count in ("1", "2"):
            changes = {"BAZARUTO_GATEWAY__WORKERS": count, "BAZARUTO_SERVICES__POLICIES__WORKERS": count}
            reader = pair(bench, running, f"workers-{count}", changes, cores=machine.CORES)
            contenders[count] = closed(bench, reader)
        bursts = take_turns(bench.effort, contenders)
    two, one = bursts["2"], bursts["1"]
    return [
        Figure("CPU of a read, two workers", "µs", cpu(two), cpu(one), "one", rates=rates(two), other_rates=rates(one)),
        Figure("reads with two workers", "a second", rates(two), rates(one), "with one"),
        Figure("p99 with two workers", "ms", tails(two), tails(one), "with one"),
    ]
