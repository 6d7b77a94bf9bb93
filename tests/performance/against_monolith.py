"""Figure 1: the read through gateway and service against the monolith, everything on, both on one core."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from tests.performance import ground, load, monolith
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort, take_turns
from tests.performance.table import Figure, Target
from tests.support.servers import free_address

THROUGHPUT = "read through gateway and service"
TAIL = "p99 of that read"


def measure(effort: Effort) -> list[Figure]:
    """Requests per second, and the tail of their latencies."""
    load.require("wrk")
    with ExitStack() as running:
        shared = running.enter_context(ground.prepared())
        platform = running.enter_context(ground.running_platform(shared))
        address = free_address()
        url = f"http://{address}{shared.path}"
        running.enter_context(ground.running_server(shared, "monolith", monolith.command(address), url))
        theirs, ours = ground.read_policy(url, shared), ground.read_policy(platform.url, shared)
        if theirs != ours:
            raise CannotMeasure(f"the contenders answer differently: {ours} and {theirs}")
        contenders = [partial(load.http, address, shared.authorization) for address in (platform.url, url)]
        own, other = take_turns(effort, contenders)
    return [
        Figure(
            THROUGHPUT,
            "requests/s",
            [burst.per_second for burst in own],
            [burst.per_second for burst in other],
            "FastAPI",
            Target(1.5, at_least=True),
        ),
        Figure(TAIL, "ms", [burst.p99 for burst in own], [burst.p99 for burst in other], "FastAPI", Target(0.5)),
    ]
