"""What the live tests do to the platform."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from bazarutod.stack import PROCESSES
from tests.ops.monitoring import wait_until
from tests.support.buyer import Buyer
from tests.support.platform import Platform


@contextmanager
def killed(platform: Platform, name: str) -> Iterator[None]:
    """A process is dead within, and runs again afterwards."""
    platform.supervisor.kill(name)
    try:
        yield
    finally:
        platform.supervisor.spawn(next(process for process in PROCESSES if process.name == name))
        wait_ready(platform)


def wait_ready(platform: Platform) -> None:
    """Return when the gateway is ready, and with it every service."""
    url = f"{platform.url}/readyz"
    wait_until(lambda: httpx.get(url, timeout=10).is_success, "the platform did not come back")


@contextmanager
def stopped(platform: Platform, name: str) -> Iterator[None]:
    """A process is there and does nothing within, as if its machine were overloaded."""
    pid = platform.supervisor.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def ask_in_vain(platform: Platform, buyer: Buyer, times: int) -> None:
    """Read policies while their service does not answer."""
    headers = {"authorization": f"Bearer {buyer.token}", "request-timeout": "2"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=10) as http:
        for _ in range(times):
            assert http.get("/v1/policies").status_code in (503, 504)
