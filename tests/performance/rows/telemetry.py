"""What logs, metrics and traces cost a request, against the same gateway and service without them; and how long a
service takes to show its metrics when every series is there.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

import httpx

from tests.performance import accounting
from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure, cpu, rates
from tests.performance.platform import free_address
from tests.performance.readers import closed, pair, started
from tests.performance.rounds import take_turns

_LOOKS = 20  # at the page, in each round
_PROCESSES = ("gateway", "policies")


def measure(bench: Bench) -> list[Figure]:
    """CPU time of gateway and service for each request, and of a look at the page."""
    with ExitStack() as running:
        bench.site(bench.head).platform.place(*_PROCESSES)
        speaking = pair(bench, running, "speaking", {})
        silent = pair(bench, running, "silent", {}, through=f"{CONTENDERS}.telemetry_off")
        contenders = {"on": closed(bench, speaking), "off": closed(bench, silent)}
        bursts = take_turns(bench.effort, contenders)
        address = free_address()
        pid = running.enter_context(started(bench, "series", [f"{CONTENDERS}.every_series", address], {}))
        pages = take_turns(bench.effort, {"page": partial(_looks, f"http://{address}/metrics", pid)}, warm_up=False)
    on, off = bursts["on"], bursts["off"]
    own = cpu(on, *_PROCESSES)
    return [
        Figure(
            "CPU with all telemetry", "µs", own, cpu(off, *_PROCESSES), "with none", Target(1.1),
            rates=rates(on), other_rates=rates(off),
        ),
        Figure("CPU of a page of metrics, every series", "µs", pages["page"], own, "a read", Target(20)),
    ]  # fmt: skip


def _looks(url: str, pid: int, _: float) -> float:
    """CPU microseconds of a look at the page, the mean of some."""
    _await(url)
    before = accounting.cpu_seconds({"page": pid})["page"]
    with httpx.Client() as http:
        for _ in range(_LOOKS):
            http.get(url, timeout=5).raise_for_status()
    return (accounting.cpu_seconds({"page": pid})["page"] - before) / _LOOKS * 1e6


def _await(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise CannotMeasure(f"{url} did not answer")
