"""Figure 7: what logs, metrics and traces cost a request, against the same gateway and service without them.

Figure 8: how long a service takes to show its metrics when every series is there.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

import httpx

from tests.performance import ground, load, machine
from tests.performance.contenders import every_series
from tests.performance.ground import Ground, Platform
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort, take_turns
from tests.performance.table import Figure, Target
from tests.support.servers import free_address

_LOOKS = 20  # at the page, in each round


def measure(effort: Effort) -> list[Figure]:
    """CPU time of gateway and service for each request, and the time of the page of metrics."""
    load.require("wrk")
    with ExitStack() as running:
        shared = running.enter_context(ground.prepared())
        speaking = running.enter_context(ground.running_platform(shared))
        silent = running.enter_context(ground.running_platform(shared.elsewhere(), silent=True))
        contenders = [partial(_cost, platform, shared) for platform in (speaking, silent)]
        on, off = take_turns(effort, contenders)
        address = free_address()
        url = f"http://{address}/metrics"
        running.enter_context(ground.running_server(shared, "series", [every_series.__name__, address]))
        _wait_for(url)
        pages = [_page(url) for _ in range(effort.rounds)]
    return [
        Figure("request with all telemetry", "µs CPU", on, off, "with none", Target(1.4)),
        Figure("/metrics of a service, every series", "ms", pages, target=Target(20)),
    ]


def _cost(platform: Platform, shared: Ground, seconds: float) -> float:
    before = _used(platform)
    burst = load.http(platform.url, shared.authorization, seconds)
    return (_used(platform) - before) / burst.requests * 1e6


def _used(platform: Platform) -> float:
    return machine.cpu_seconds(platform.gateway) + machine.cpu_seconds(platform.service)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise CannotMeasure(f"{url} did not answer")


def _page(url: str) -> float:
    """Milliseconds of a look, the median of some."""
    spent = []
    with httpx.Client() as http:
        for _ in range(_LOOKS):
            begun = time.perf_counter()
            http.get(url, timeout=5).raise_for_status()
            spent.append((time.perf_counter() - begun) * 1000)
    return sorted(spent)[len(spent) // 2]
