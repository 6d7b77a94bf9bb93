"""The gateway as a process: starting, health, overload, stopping."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from grpc_health.v1 import health_pb2

from libs.version import VERSION
from tests.integration.gateway.gateway_process import (
    ROOT,
    RunningGateway,
    Service,
    running_gateway,
    running_service,
)
from tests.support.waiting import quickest, until
from tests.unit.gateway import gateway_sample as sample


@pytest.fixture
def own_service() -> Iterator[Service]:
    """A service that a test may make unhealthy."""
    with running_service() as running:
        yield running


@pytest.fixture
def own_gateway(own_service: Service, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway that a test may stop; it takes three requests at a time."""
    with running_gateway(tmp_path, own_service.target, GATEWAY__MAX_IN_FLIGHT="3") as running:
        yield running


def test_health_has_the_shape_of_the_operations_guide(client: httpx.Client) -> None:
    for path in ("/healthz", "/healthz/detailed"):
        response = client.get(path)
        assert response.status_code == 200
        document = response.json()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document.pop("timestamp"))
        assert document == {
            "status": "healthy",
            "version": VERSION,
            "checks": {
                "database": {"status": "healthy", "response_time": "2ms"},
                "redis": {"status": "healthy", "response_time": "0ms"},
                "jobs": {"status": "healthy", "pending_jobs": 12, "failed_jobs": 4},
            },
        }


def test_version_and_life_are_told(client: httpx.Client) -> None:
    assert client.get("/version").json()["version"] == VERSION
    assert client.get("/livez").json()["status"] == "healthy"


def test_a_database_that_fails_is_unhealthy_and_tells_nobody_why(
    own_gateway: RunningGateway, own_service: Service
) -> None:
    own_service.library.database_error = "password of the inside"
    with own_gateway.client() as client:
        response = client.get("/healthz")
        assert response.status_code == 503
        assert response.json()["status"] == "unhealthy"
        assert response.json()["checks"]["database"]["status"] == "unhealthy"
        assert "password" not in response.text
        assert client.get("/livez").status_code == 200


def test_a_dependency_that_hangs_is_unhealthy_within_two_seconds(
    own_gateway: RunningGateway, own_service: Service
) -> None:
    own_service.library.hangs.set()
    with own_gateway.client() as client:
        assert quickest(lambda: client.get("/healthz").status_code == 503) < 3


def test_the_gateway_is_ready_when_every_service_serves(own_gateway: RunningGateway, own_service: Service) -> None:
    with own_gateway.client() as client:
        until(lambda: client.get("/readyz").status_code == 200)
        own_service.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert client.get("/readyz").status_code == 503
        own_service.health.set("", health_pb2.HealthCheckResponse.SERVING)
        until(lambda: client.get("/readyz").status_code == 200)


def test_a_redis_that_is_not_there_is_unhealthy(own_service: Service, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    with running_gateway(tmp_path, own_service.target, REDIS__URL=url) as gateway, gateway.client() as client:
        response = client.get("/healthz")
        assert response.status_code == 503
        assert response.json()["checks"]["redis"]["status"] == "unhealthy"


def test_a_service_that_is_gone_is_503_with_a_time_to_come_back(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "127.0.0.1:1") as gateway, gateway.client() as client:
        response = client.post("/v1/books", json={})
        assert response.status_code == 503
        assert response.json()["error"]["details"][0]["reason"] == "DEPENDENCY_UNAVAILABLE"
        assert response.headers["retry-after"] == "1"
        assert "127.0.0.1" not in response.text


def test_more_requests_than_it_takes_are_refused_early(own_gateway: RunningGateway, own_service: Service) -> None:
    statuses: list[int] = []

    def ask() -> None:
        with own_gateway.client() as client:
            statuses.append(client.request("LOCK", "/v1/books/slow").status_code)

    waiting = [threading.Thread(target=ask) for _ in range(3)]
    for thread in waiting:
        thread.start()
    until(lambda: len(own_service.library.calls) == 3)
    with own_gateway.client() as client:
        refused = client.get("/v1/books/b")
        assert refused.status_code == 503
        assert refused.json()["error"]["details"][0]["reason"] == "OVERLOADED"
        assert client.get("/livez").status_code == 200
    own_service.library.go_on.set()
    for thread in waiting:
        thread.join()
    assert statuses == [200] * 3


def test_a_request_in_flight_ends_before_the_process_does(own_gateway: RunningGateway, own_service: Service) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        with own_gateway.client() as client:
            answers.append(client.request("LOCK", "/v1/books/slow"))

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: bool(own_service.library.calls))
    own_gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    own_service.library.go_on.set()
    thread.join()
    assert [answer.status_code for answer in answers] == [200]
    assert own_gateway.process.wait(60) == 0


def test_streams_end_when_the_process_is_told_to_stop(own_gateway: RunningGateway) -> None:
    with own_gateway.client() as client, client.stream("GET", "/v1/books/endless:watch") as response:
        lines = response.iter_lines()
        assert "first" in next(lines)
        own_gateway.process.send_signal(signal.SIGTERM)
        assert list(lines) == []
    assert own_gateway.process.wait(60) == 0


def test_during_the_drain_it_answers_and_is_not_ready(own_service: Service, tmp_path: Path) -> None:
    with running_gateway(tmp_path, own_service.target, DRAIN="2s") as gateway, gateway.client() as client:
        until(lambda: client.get("/readyz").status_code == 200)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/v1/books/b").status_code == 200
        assert gateway.process.wait(60) == 0


def test_an_interrupt_from_the_terminal_stops_it_cleanly(own_gateway: RunningGateway) -> None:
    own_gateway.process.send_signal(signal.SIGINT)
    assert own_gateway.process.wait(60) == 0


def test_a_worker_that_dies_is_replaced(own_gateway: RunningGateway) -> None:
    (worker,) = psutil.Process(own_gateway.process.pid).children()
    worker.kill()
    with own_gateway.client() as client:

        def is_back() -> bool:
            try:
                return client.get("/v1/books/b").status_code == 200
            except httpx.TransportError:
                return False

        until(is_back)


def test_no_worker_outlives_a_parent_that_is_killed(own_gateway: RunningGateway) -> None:
    workers = psutil.Process(own_gateway.process.pid).children()
    own_gateway.process.kill()
    own_gateway.process.wait()
    until(lambda: not any(worker.is_running() for worker in workers))


def test_workers_share_the_port_and_the_metrics(own_service: Service, tmp_path: Path) -> None:
    with running_gateway(tmp_path, own_service.target, GATEWAY__WORKERS="2") as gateway:
        for _ in range(20):
            with gateway.client() as client:
                assert client.get("/v1/books/b").status_code == 200
        with gateway.client() as client:
            metrics = client.get("/metrics").text
    assert 'http_requests_total{method="GET",path="/v1/books/{book_id}",status="200"} 20.0' in metrics


@pytest.mark.parametrize(
    ("rpcs", "why"),
    [
        ((sample.rpc("DoIt", 'get: "/v1/{nothing}"'),), "nothing is not a field of the request"),
        (
            (
                sample.rpc(
                    "DoIt",
                    'get: "/v1/x"',
                    'option (bazaruto.options.v1.access) = {audience: AUDIENCE_INTERNAL services: "quotes"};',
                ),
            ),
            "internal services only",
        ),
    ],
)
def test_a_wrong_contract_keeps_it_from_starting(tmp_path: Path, rpcs: tuple[str, ...], why: str) -> None:
    descriptors = tmp_path / "wrong.binpb"
    descriptors.write_bytes(sample.contract(*rpcs))
    ended = subprocess.run(
        [sys.executable, "-m", "gateway.main", "serve"],
        cwd=ROOT,
        env={"BAZARUTO_GATEWAY__DESCRIPTORS": str(descriptors), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert why in ended.stderr
    assert "ThingService/DoIt" in ended.stderr


def test_a_wrong_network_keeps_it_from_starting() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway.main", "serve"],
        cwd=ROOT,
        env={"BAZARUTO_GATEWAY__TRUSTED_PROXIES": '["10.0.0.0/99"]', "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "gateway.trusted_proxies: '10.0.0.0/99'" in ended.stderr


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "gateway.main", "serve"],
            cwd=ROOT,
            env={"BAZARUTO_GATEWAY__LISTEN": address, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"gateway.listen: {address}: Address already in use")
    assert "backtrace" not in ended.stderr


def test_headers_that_do_not_arrive_in_time_are_cut_off(gateway: RunningGateway) -> None:
    with socket.create_connection((gateway.host, gateway.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow:")
        assert b"200" not in connection.recv(100)  # returns when the gateway closes, not by its own timeout
