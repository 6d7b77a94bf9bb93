"""What changes of a policy cost, against the read of one: a preview, a change that is issued, and its billing."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.performance import accounting, callers
from tests.performance.bench import Bench, Site
from tests.performance.callers import Customer
from tests.performance.figures import Figure
from tests.performance.load import Burst, CannotMeasure, cpu, rates
from tests.performance.platform import SERVICES, Platform
from tests.performance.readers import Reader, closed
from tests.performance.rounds import take_turns

_CALLERS = 4
_READ = "the read"
_PATIENCE = 120.0  # seconds until jobs are done
_KILOMETRES = (14_000, 22_000)  # in turn, so that each change is one, and of money
_CHANGED_IN = timedelta(days=60)


@dataclass
class Changed:
    """Policies that were bought, each by a customer of its own, and that are changed in every round."""

    bench: Bench
    site: Site
    policies: list[tuple[Customer, str]]
    changes: Iterator[int] = field(default_factory=lambda: itertools.cycle(_KILOMETRES))
    billed: list[Burst] = field(default_factory=list)
    """Of each round, what followed by jobs: the transactions billed and booked, and the quotes bound."""

    def requests(self, method: str, path: str, body: dict[str, Any] | None = None) -> Reader:
        """Requests for each policy, again and again."""
        described = [
            {"method": method, "path": f"/v1/policies/{policy}{path}", "token": customer.token, "keyed": True}
            | ({"body": body} if body else {})
            for customer, policy in self.policies
        ]
        platform = self.site.platform
        return Reader(platform.gateway, self.bench.generator.file(described), platform.processes)

    def endorse(self, _seconds: float) -> Burst:
        """Issue a change of each policy while no job is worked on; then let the jobs be done."""
        platform = self.site.platform
        quotes = self._accepted(next(self.changes))
        described = [
            {"method": "POST", "path": f"/v1/policies/{policy}:endorse", "body": {"quoteId": quote}, "keyed": True,
             "token": customer.token}
            for (customer, policy), quote in zip(self.policies, quotes, strict=True)
        ]  # fmt: skip
        await_jobs(platform)
        requests = self.bench.generator.file(described)
        processes = platform.processes()
        with _held(processes):
            issued = self.bench.generator.burst(
                lambda: processes, kind="once", address=platform.gateway, requests=requests, callers=_CALLERS
            )
            before, started = accounting.cpu_seconds(processes), time.monotonic()
        await_jobs(platform)
        spent = accounting.cpu_seconds(processes)
        took = time.monotonic() - started
        self.billed.append(replace(issued, seconds=took, cpu={name: spent[name] - before[name] for name in processes}))
        return issued

    def _accepted(self, kilometres: int) -> list[str]:
        """The accepted quotes of a change of each policy."""
        day = datetime.now(UTC).date() + _CHANGED_IN
        change = {
            "effectiveDate": {"year": day.year, "month": day.month, "day": day.day},
            "answers": {"annual_km": kilometres},
        }
        with httpx.Client(base_url=self.site.platform.url, timeout=60) as http:
            quotes = []
            for customer, policy in self.policies:
                answer = callers.post(http, customer, f"/v1/policies/{policy}:quoteEndorsement", change)
                quotes.append(str(answer["quote"]["quoteId"]))
                callers.post(http, customer, f"/v1/quotes/{quotes[-1]}:accept", {})
        return quotes


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each."""
    site = bench.site(bench.head)
    site.platform.place()
    changed = Changed(bench, site, _bought(bench, site))
    cancellation = {"reason": "insured_request", "validateOnly": True}
    bursts = take_turns(
        bench.effort,
        {
            _READ: closed(bench, changed.requests("GET", "")),
            "preview": closed(bench, changed.requests("POST", ":cancel", cancellation)),
            "endorse": changed.endorse,
        },
    )
    read = bursts[_READ]
    measured = {
        "CPU of a cancellation's preview": bursts["preview"],
        "CPU of issuing a change": bursts["endorse"],
        "CPU of having it billed": changed.billed[-len(read) :],  # the first is for warming up
    }
    return [
        Figure(name, "µs", cpu(own), cpu(read), _READ, rates=rates(own), other_rates=rates(read))
        for name, own in measured.items()
    ]


def _bought(bench: Bench, site: Site) -> list[tuple[Customer, str]]:
    customers = site.callers.customers[: bench.effort.changes]
    with httpx.Client(base_url=site.platform.url, timeout=60) as http, ThreadPoolExecutor(_CALLERS) as threads:
        bought = threads.map(lambda customer: callers.buy(http, customer, site.callers.names_objects), customers)
        return [(customer, callers.shown_policy(policy)) for customer, policy in zip(customers, bought, strict=True)]


@contextmanager
def _held(processes: dict[str, int]) -> Iterator[None]:
    """Workers stand still within."""
    workers = [pid for name, pid in processes.items() if name.endswith("-worker")]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def await_jobs(platform: Platform) -> None:
    """Return when nothing that is due now waits in any queue."""
    undone = (
        "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        " AND (scheduled_at IS NULL OR scheduled_at <= now())"
    )
    deadline = time.monotonic() + _PATIENCE
    while any(_single(platform, service, undone) for service in SERVICES):
        if time.monotonic() > deadline:
            raise CannotMeasure(f"jobs were not done after {_PATIENCE:.0f} s")
        time.sleep(0.1)


def _single(platform: Platform, service: str, query: str) -> int:
    with platform.connect(service) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0
