"""Purchases from end to end on the whole platform, on all cores, as `bazarutod up` runs it and the buyers of the README
buy: with PostgreSQL waiting for the disk, and as the tests have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.performance.bench import Bench, Site
from tests.performance.figures import Figure
from tests.performance.load import Burst
from tests.performance.platform import PROCESSES
from tests.performance.rounds import take_turns

_BUYERS = 4  # customers who buy at the same time
# Name, whether PostgreSQL waits for the disk, and whether the first invoice is paid apart.
_KINDS = (
    ("paid when issued, fsync on", True, False),
    ("paid when issued, fsync off", False, False),
    ("paid by invoice, fsync on", True, True),
)


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each purchase, purchases a second, and how long each takes until it is in force."""
    sites = {tree.name: bench.site(tree) for tree in bench.trees}
    contenders: dict[str, Callable[[float], Burst]] = {}
    for tree, site in sites.items():
        site.platform.place()
        for kind, is_durable, by_invoice in _KINDS:
            contenders[f"{tree} {kind}"] = partial(burst, bench, site, is_durable, by_invoice)
    try:
        bursts = take_turns(bench.effort, contenders)
    finally:
        for site in sites.values():
            site.platform.write_through(True)
    figures = []
    for kind, _, _ in _KINDS:
        own, base = bursts[f"HEAD {kind}"], bursts.get(f"BASE {kind}", [])
        figure = Figure(f"CPU, {kind}", "ms", _cpu(own), rates=[burst.per_second for burst in own])
        figures.append(bench.versus_base(figure, _cpu(base), [burst.per_second for burst in base]))
        if kind == _KINDS[0][0]:
            figures += bench.shares({"HEAD": own, "BASE": base}, *PROCESSES, "postgres")
        figures.append(bench.versus_base(_figure("p50", kind, own), [burst.p50 for burst in base]))
        figures.append(bench.versus_base(_figure("p99", kind, own), [burst.p99 for burst in base]))
    return figures


def burst(bench: Bench, site: Site, is_durable: bool, by_invoice: bool, seconds: float) -> Burst:
    """Purchases by some customers at a time, fewer of them in a round that is shorter than usual."""
    site.platform.write_through(is_durable)
    share = 1 if seconds >= bench.effort.seconds else seconds / bench.effort.seconds  # less to warm up
    return bench.generator.burst(
        site.platform.processes,
        kind="purchases",
        address=site.platform.gateway,
        tokens=[customer.token for customer in site.callers.customers[:_BUYERS]],
        each=max(1, round(bench.effort.purchases * share / _BUYERS)),
        names_objects=site.callers.names_objects,
        by_invoice=by_invoice,
    )


def _figure(name: str, kind: str, bursts: Sequence[Burst]) -> Figure:
    return Figure(f"{name}, {kind}", "ms", [burst.p50 if name == "p50" else burst.p99 for burst in bursts])


def _cpu(bursts: Sequence[Burst]) -> list[float]:
    return [burst.cpu_microseconds() / 1000 for burst in bursts]
