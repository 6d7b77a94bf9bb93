"""What the live tests do to the platform."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.ops.monitoring import wait_until
from tests.support.buyer import Buyer
from tests.support.platform import Platform


class Keeper:
    """Starts again what dies, as `bazarutod up` and every other place does, except what a test wants dead.

    A worker whose database is gone for long ends, for example, and counts on that.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._wanted_dead: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let the platform be stopped."""
        self._ending.set()
        self._thread.join()

    @contextmanager
    def killed(self, name: str) -> Iterator[None]:
        """A process is dead within, and runs again afterwards."""
        self._wanted_dead.add(name)
        self._platform.supervisor.kill(name)
        try:
            yield
        finally:
            self._wanted_dead.discard(name)
            wait_until(lambda: not self._platform.supervisor.dead(), f"{name} was not started again")
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when the gateway is ready, and with it every service."""
        url = f"{self._platform.url}/readyz"
        wait_until(lambda: httpx.get(url, timeout=10).is_success, "the platform did not come back")

    def _keep(self) -> None:
        supervisor = self._platform.supervisor
        while not self._ending.wait(1.0):
            for process in supervisor.dead():
                if process.name not in self._wanted_dead:
                    supervisor.spawn(process)


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
