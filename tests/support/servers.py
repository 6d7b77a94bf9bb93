"""A service's real server in this process, on a free port, over a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazarutod.ports import free_port
from bazarutod.stack import SERVICES
from libs.config import DbSettings, JobSettings, Settings
from libs.db import Database
from libs.rpc.server import Server
from tests.support.people import People
from tests.support.sections import section

Build = Callable[[Server, Database, Settings], None]
"""Adds the servicers of a service to its server, as its main does."""


def free_address() -> str:
    """A loopback address on which nobody listens."""
    return f"127.0.0.1:{free_port()}"


def settings_for(people: People, **urls: str) -> Settings:
    """Settings with free ports, with the databases of the given services."""
    services = {name: {"listen": free_address(), "db_url": urls.get(name, "")} for name in SERVICES}
    return Settings(
        environment="test",
        services=services,
        auth=people.auth,
        db=section(DbSettings, max_connections=10),
        jobs=section(JobSettings, concurrency=2, retry_wait=timedelta(milliseconds=10)),
    )


def refuse_stale_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail that reads what may come from a replica, seconds behind."""
    reading = Database.reading

    def only_fresh(database: Database, *, fresh: bool = False) -> Any:
        assert fresh, "what this decides by may be seconds old"
        return reading(database, fresh=True)

    monkeypatch.setattr(Database, "reading", only_fresh)


@contextmanager
def running_server(service: str, settings: Settings, people: People, build: Build) -> Iterator[grpc.Channel]:
    """Serve within; gives a bare channel to the server."""
    database = Database(settings.services[service].db_url, settings.db, f"test-{service}")
    server = Server(service, settings, database, people.verifier())
    build(server, database, settings)
    monitor = server.start()
    try:
        with grpc.insecure_channel(settings.services[service].target) as channel:
            yield channel
    finally:
        server.stop(monitor)


def serving(address: str) -> bool:
    """Whether a server says by the gRPC health protocol that it serves."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
