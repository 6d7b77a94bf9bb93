"""Figure 10: every process is replaced at a hundred requests a second, against the same load left alone."""

from __future__ import annotations

import httpx

from bazarutod.stack import PROCESSES
from tests.performance.rounds import Effort
from tests.performance.table import Figure, Target
from tests.support.buyer import Buyer
from tests.support.platform import running_platform
from tests.support.steady import Outcome, steady_requests, wait_for


def measure(effort: Effort) -> list[Figure]:
    """Requests that failed, and the tail of the others. The whole machine takes part."""
    with running_platform(BAZARUTO_TELEMETRY__SAMPLING="0.1") as platform, httpx.Client(base_url=platform.url) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        policy = buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
        during, alone = [], []
        for _ in range(effort.restarts):
            with steady_requests(platform.url, buyer, policy) as left_alone:
                wait_for(left_alone, effort.left_alone)
            with steady_requests(platform.url, buyer, policy) as restarted:
                for process in PROCESSES:
                    platform.supervisor.replace(process)
            alone.append(left_alone)
            during.append(restarted)
    name = "every process replaced at 100 requests/s"
    failed = [float(outcome.failed.total()) for outcome in during]
    return [
        Figure(f"{name}, failed", "requests", failed, target=Target(0)),
        Figure(f"p99 while {name}", "ms", _tails(during), _tails(alone), "left alone", Target(2)),
    ]


def _tails(outcomes: list[Outcome]) -> list[float]:
    return [outcome.percentile(0.99) * 1000 for outcome in outcomes]
