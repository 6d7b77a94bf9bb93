"""What reads and lists cost when there are a thousand times as many policies: two platforms of this tree, side by side.

The same callers ask for pages of the same size, so that all that differs is how much lies behind them.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import httpx

from tests.performance import callers, platform
from tests.performance.bench import Bench, Site
from tests.performance.callers import POLICIES, RARE
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure, cpu, rates
from tests.performance.readers import Reader, closed
from tests.performance.rounds import take_turns

_PAGE = 10
_DEEP = 0.4  # share of all policies behind which the deep page begins
_DEEPEST = 100_000  # policies; walking there takes a minute
_TARGETS = {"by id": Target(1.2), "first page": Target(1.2), "deep page": Target(1.2), "rare product": Target(1.2)}


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each request, of every kind of request."""
    with ExitStack() as running:
        sites = {count: _site(bench, running, count) for count in (bench.effort.many, POLICIES)}
        requests = {count: _requests(site) for count, site in sites.items()}
        figures = []
        for kind, target in _TARGETS.items():
            bench.tell(f"measuring {kind}")
            contenders = {}
            for count, site in sites.items():
                file = bench.generator.file(requests[count][kind])
                contenders[str(count)] = closed(bench, Reader(site.platform.gateway, file, site.platform.processes))
            bursts = take_turns(bench.effort, contenders)
            many, few = bursts[str(bench.effort.many)], bursts[str(POLICIES)]
            figures.append(
                Figure(
                    f"CPU, {kind}",
                    "µs",
                    cpu(many),
                    cpu(few),
                    f"{POLICIES:,} policies",
                    target,
                    rates=rates(many),
                    other_rates=rates(few),
                )
            )
    return figures


def _site(bench: Bench, running: ExitStack, policies: int) -> Site:
    bench.tell(f"starting a platform with {policies:,} policies")
    started = running.enter_context(platform.running(bench.head))
    started.write_through(False)
    prepared = callers.prepare(started, policies)
    started.write_through(True)
    started.place("gateway", "policies")
    return Site(started, prepared)


def _requests(site: Site) -> dict[str, list[dict[str, Any]]]:
    """What is asked: owners for their policies, an administrator for those of all."""
    token = callers.administrator(site.platform)
    everything = f"/v1/policies?pageSize={_PAGE}"
    page_token = _walk(site, token)
    return {
        "by id": site.callers.reads(),
        "first page": [
            {"method": "GET", "path": everything, "token": customer.token} for customer in site.callers.customers
        ],
        "deep page": [{"method": "GET", "path": f"{everything}&pageToken={page_token}", "token": token}],
        "rare product": [{"method": "GET", "path": f"{everything}&productCode={RARE}", "token": token}],
    }


def _walk(site: Site, token: str) -> str:
    """The token of a page that lies deep in the list of all policies: there is no way to it but from page to page."""
    passed, page_token = 0, ""
    depth = min(site.callers.policies * _DEEP, _DEEPEST)
    with httpx.Client(base_url=site.platform.url, headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
        while passed < depth:
            parameters = {"pageSize": "100", "pageToken": page_token}
            page = http.get("/v1/policies", params=parameters).raise_for_status().json()
            passed += len(page["policies"])
            page_token = page.get("nextPageToken", "")
            if not page_token:
                raise CannotMeasure(f"the list ended after {passed} policies")
    return page_token
