"""The health protocol goes on while states change and watchers come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.rpc.health import HealthServicer
from tests.support.servers import free_address

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def health() -> Iterator[tuple[HealthServicer, health_pb2_grpc.HealthStub]]:
    """The servicer behind a real server, and a caller of it."""
    servicer = HealthServicer()
    servicer.set("", SERVING)
    server = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address := free_address())
    server.start()
    with grpc.insecure_channel(address) as channel:
        yield servicer, health_pb2_grpc.HealthStub(channel)
    server.stop(0).wait()


Health = tuple[HealthServicer, health_pb2_grpc.HealthStub]


def test_watcher_hears_every_change_and_nothing_twice(health: Health) -> None:
    servicer, stub = health
    heard = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
    assert next(heard).status == SERVING
    servicer.set("", SERVING)
    servicer.set("", NOT_SERVING)
    assert next(heard).status == NOT_SERVING
    servicer.end_watches()
    assert list(heard) == []


def test_unknown_service_is_not_found_and_may_be_watched_until_it_is_there(health: Health) -> None:
    servicer, stub = health
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="later"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    heard = stub.Watch(health_pb2.HealthCheckRequest(service="later"), timeout=10)
    assert next(heard).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    servicer.set("later", SERVING)
    assert next(heard).status == SERVING
    heard.cancel()


def test_watchers_that_leave_while_the_state_changes_stop_no_call(health: Health) -> None:
    servicer, stub = health
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            servicer.set("", NOT_SERVING)
            servicer.set("", SERVING)

    changing = threading.Thread(target=change, daemon=True)
    changing.start()
    for _ in range(200):
        heard = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        next(heard)
        heard.cancel()
    over.set()
    changing.join(10)
    assert not changing.is_alive()
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == SERVING
