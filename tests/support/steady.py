"""Callers that come at a fixed rate, whether or not the platform answers, and take no second try."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from bazarutod.demo import RISK
from tests.support.buyer import Buyer

PER_SECOND = 40
_CONNECTIONS = 16
_TIMEOUT = 10.0
_MOST_UNDER_WAY = 64  # callers wait when there are more: a machine too slow for the rate is no fault of the platform


@dataclass
class Outcome:
    """What became of the requests."""

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The time within which this share of the requests was answered."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@contextmanager
def steady_requests(url: str, buyer: Buyer, policy: dict[str, Any], *, keep_alive: bool = True) -> Iterator[Outcome]:
    """Send forty requests a second within the block, to every service in turn; read the outcome after it.

    Without `keep_alive` every request has a connection of its own.
    """
    outcome, stopping = Outcome(), threading.Event()
    requests = _requests(buyer, policy)
    limits = httpx.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS if keep_alive else 0, keepalive_expiry=60
    )

    async def run() -> None:
        headers = {"authorization": f"Bearer {buyer.token}"}
        async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, limits=limits, headers=headers) as http:
            under_way: set[asyncio.Task[None]] = set()
            started, number = time.perf_counter(), 0
            while not stopping.is_set():
                under_way.add(asyncio.create_task(_ask(http, requests[number % len(requests)], outcome)))
                number += 1
                under_way = {task for task in under_way if not task.done()}
                if len(under_way) >= _MOST_UNDER_WAY:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.perf_counter()))
            await asyncio.gather(*under_way)

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="steady", daemon=True)
    thread.start()
    try:
        yield outcome
    finally:
        stopping.set()
        thread.join(2 * _TIMEOUT)


def wait_for(outcome: Outcome, count: int) -> None:
    """Wait until so many requests have been answered, or a minute is over."""
    end = time.monotonic() + 60
    while outcome.answered < count and time.monotonic() < end:
        time.sleep(0.05)


def _requests(buyer: Buyer, policy: dict[str, Any]) -> Sequence[tuple[str, str, dict[str, Any] | None]]:
    return (
        ("GET", f"/v1/policies/{policy['policyId']}", None),
        ("GET", f"/v1/users/{buyer.user_id}", None),
        ("GET", f"/v1/invoices?policyId={policy['policyId']}", None),
        ("POST", "/v1/quotes:calculate", {"risk": RISK}),
        ("GET", f"/v1/quotes/{policy['quoteId']}", None),
        ("POST", "/v1/quotes", {"risk": RISK}),
    )


async def _ask(http: httpx.AsyncClient, request: tuple[str, str, dict[str, Any] | None], outcome: Outcome) -> None:
    method, path, body = request
    started = time.perf_counter()
    try:
        answer = await http.request(method, path, json=body, headers={"idempotency-key": secrets.token_hex(16)})
    except httpx.HTTPError as error:
        outcome.failed[f"{method} {path.split('/')[2]}: {error!r}"] += 1
        return
    outcome.seconds.append(time.perf_counter() - started)
    if answer.is_success:
        outcome.answered += 1
    else:
        outcome.failed[f"{method} {path.split('/')[2]}: {answer.status_code} {answer.text[:300]}"] += 1
