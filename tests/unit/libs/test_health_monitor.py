"""The monitor goes on looking, whatever a look ends in."""

from __future__ import annotations

import threading

import pytest
from grpc_health.v1 import health, health_pb2

from libs.rpc import health as health_module
from libs.rpc.health import Checks, HealthMonitor


class _TablesMissing(Exception):
    """What the driver says until the database is migrated, and no error of ours."""


class _Migrating(Checks):
    """Checks of a database whose tables come after the second look."""

    def __init__(self) -> None:
        self.looks = 0

    def run(self, seconds: float = 0) -> tuple[float, int, int]:
        self.looks += 1
        if self.looks < 3:
            raise _TablesMissing
        return 0.001, 0, 0

    def stop(self) -> None:
        pass


def test_monitor_serves_once_the_tables_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_EVERY", 0.01)
    serving = threading.Event()

    class Servicer(health.HealthServicer):  # type: ignore[misc]  # it has no types
        def set(self, service: str, status: int) -> None:
            if status == health_pb2.HealthCheckResponse.SERVING:
                serving.set()

    monitor = HealthMonitor(Servicer(), ["bazaruto.test"], _Migrating())
    monitor.start()
    try:
        assert serving.wait(5)
    finally:
        monitor.stop()
