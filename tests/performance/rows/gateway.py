"""Figure 2: what the gateway costs against Envoy's transcoder in front of the same service."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from tests.performance import envoy, ground, load, machine
from tests.performance.rounds import Effort, take_turns
from tests.performance.table import Figure, Target

NAME = "gateway CPU per request"


def measure(effort: Effort) -> list[Figure]:
    """CPU time of the front alone, however many requests the service behind it lets through."""
    load.require("wrk")
    with ExitStack() as running:
        shared = running.enter_context(ground.prepared())
        platform = running.enter_context(ground.running_platform(shared))
        url, pid = running.enter_context(envoy.running(shared))

        def cost(front: int, target: str, seconds: float) -> float:
            before = machine.cpu_seconds(front)
            burst = load.http(target, shared.authorization, seconds)
            return (machine.cpu_seconds(front) - before) / burst.requests * 1e6

        contenders = [partial(cost, platform.gateway, platform.url), partial(cost, pid, url)]
        own, other = take_turns(effort, contenders)
    return [Figure(NAME, "µs", own, other, "Envoy", Target(2.5))]
