"""Figure 5: purchases from end to end on the whole platform, and the memory of its processes afterwards."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from bazarutod.stack import PROCESSES, SERVICES
from tests.performance import machine
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort
from tests.performance.table import Figure, Target
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform

NAME = "purchases"
_BUYERS = 4  # customers who buy at the same time
_METHOD = "pm_card_ok"
_IN_FORCE = "STATE_IN_FORCE"
_LOOK_EVERY = 0.02  # seconds; what is measured cannot be told more exactly
_PATIENCE = 30.0  # seconds
_SERVICE_MEMORY = Target(110)


def measure(effort: Effort) -> list[Figure]:
    """From the first call of a quote to the policy being in force; then the memory of each process.

    The whole machine takes part: nine processes and PostgreSQL on all cores, as `bazarutod up` runs them.
    """
    with running_platform(BAZARUTO_TELEMETRY__SAMPLING="0.1") as platform:
        rates: list[float] = []
        middles: list[float] = []
        tails: list[float] = []
        with ThreadPoolExecutor(_BUYERS) as threads:
            clients = [httpx.Client(base_url=platform.url, timeout=30) for _ in range(_BUYERS)]
            buyers = list(threads.map(_customer, clients))
            list(threads.map(_buy, buyers, [2] * _BUYERS))  # warm-up
            for _ in range(effort.rounds):
                each = max(1, effort.purchases // _BUYERS)
                begun = time.perf_counter()
                spent = [seconds for found in threads.map(_buy, buyers, [each] * _BUYERS) for seconds in found]
                rates.append(len(spent) / (time.perf_counter() - begun))
                cuts = statistics.quantiles(spent, n=100, method="inclusive")
                middles.append(cuts[49] * 1000)
                tails.append(cuts[98] * 1000)
            for client in clients:
                client.close()
        memory = _memory(platform)
    told = f"{_BUYERS} at a time, until in force"
    return [
        Figure(f"{NAME}, {told}", "a second", rates),
        Figure("p50 of a purchase", "ms", middles),
        Figure("p99 of a purchase", "ms", tails),
        *memory,
    ]


def _customer(http: httpx.Client) -> Buyer:
    buyer = Buyer(http)
    buyer.sign_up()
    return buyer


def _buy(buyer: Buyer, count: int) -> list[float]:
    """Buy policies one after the other; gives the seconds of each."""
    spent = []
    for _ in range(count):
        begun = time.perf_counter()
        path = f"/v1/policies/{buyer.issue(paymentMethod=_METHOD)['policyId']}"
        while buyer.call("GET", path)["state"] != _IN_FORCE:
            if time.perf_counter() - begun > _PATIENCE:
                raise CannotMeasure(f"a purchase took longer than {_PATIENCE:.0f} s")
            time.sleep(_LOOK_EVERY)
        spent.append(time.perf_counter() - begun)
    return spent


def _memory(platform: Platform) -> list[Figure]:
    return [
        Figure(
            f"memory of {process.name}",
            "MiB resident",
            [machine.resident_mebibytes(platform.supervisor.pid(process.name))],
            target=_SERVICE_MEMORY if process.name in SERVICES else None,
        )
        for process in PROCESSES
    ]
