"""Health of the running platform as its operators and its orchestrator ask for it: over HTTP, and by gRPC."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazarutod.stack import SERVICES
from libs.version import VERSION
from tests.e2e.operations import Operated
from tests.support.waiting import quickest, until

pytestmark = [pytest.mark.xdist_group("operations"), pytest.mark.timeout(300)]

_OF_SERVICE = {
    "users": "bazaruto.users.v1.UserService",
    "quotes": "bazaruto.quotes.v1.QuoteService",
    "policies": "bazaruto.policies.v1.PolicyService",
    "payments": "bazaruto.payments.v1.InvoiceService",
}
UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)  # as the health protocol numbers them


def test_health_has_the_shape_of_the_guide_and_counts_jobs_as_the_databases_do(operated: Operated) -> None:
    with psycopg.connect(operated.platform.postgres.url("bazaruto_quotes"), autocommit=True) as connection:
        waiting = "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at) VALUES ('default', 't', %s)"
        for _ in range(5):
            connection.execute(waiting, (datetime(2100, 1, 1, tzinfo=UTC),))
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('default', 't', 'failed')"
        )
    for path in ("/healthz", "/healthz/detailed"):
        until(lambda path=path: counts_agree(operated, path))  # type: ignore[misc]  # a job may come in between
        before = datetime.now(UTC).replace(microsecond=0)
        answer = operated.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        report = answer.json()
        assert set(report) == {"status", "timestamp", "version", "checks"}
        assert (report["status"], report["version"]) == ("healthy", VERSION)
        assert report["timestamp"].endswith("Z")
        assert before <= datetime.fromisoformat(report["timestamp"]) <= datetime.now(UTC)
        checks = report["checks"]
        assert set(checks) == {"database", "redis", "jobs"}
        for name in ("database", "redis"):
            assert checks[name]["status"] == "healthy"
            assert re.fullmatch(r"\d+(\.\d+)?ms", checks[name]["response_time"])
        assert checks["jobs"]["pending_jobs"] >= 5
        assert checks["jobs"]["failed_jobs"] >= 1


def test_stopped_postgres_is_noticed_within_five_seconds_and_so_is_its_return(recovering: Operated) -> None:
    mark = recovering.mark()
    with recovering.postgres_stopped():
        assert until(lambda: recovering.get("/readyz").status_code == 503) < 5
        assert recovering.get("/livez").status_code == 200
        answer = recovering.get("/healthz")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
        assert answer.json()["status"] == answer.json()["checks"]["database"]["status"] == "unhealthy"
        until(lambda: {*SERVICES} <= pools_that_gave_up(recovering, mark))
        assert recovering.get("/livez").status_code == 200
    assert until(lambda: recovering.get("/readyz").status_code == 200) < 5
    assert until(lambda: recovering.get("/healthz").status_code == 200) < 5


def test_frozen_postgres_is_unhealthy_within_two_seconds(recovering: Operated) -> None:
    with recovering.postgres_frozen():
        assert quickest(lambda: recovering.get("/healthz").status_code == 503, 2) < 2.3  # two, and the way of a client
        assert until(lambda: recovering.get("/readyz").status_code == 503) < 5
        assert recovering.get("/livez").status_code == 200
    assert until(lambda: recovering.get("/readyz").status_code == 200) < 5


def test_stopped_redis_is_unhealthy_and_the_process_lives(recovering: Operated) -> None:
    recovering.redis.stop()
    try:
        answer = recovering.get("/healthz")
        assert answer.status_code == 503
        assert {name: check["status"] for name, check in answer.json()["checks"].items()} == {
            "database": "healthy",
            "redis": "unhealthy",
            "jobs": "healthy",
        }
        assert recovering.get("/livez").status_code == recovering.get("/readyz").status_code == 200
    finally:
        recovering.redis.start()


def test_version_is_the_same_wherever_it_is_asked_for(operated: Operated) -> None:
    command = subprocess.run(
        [Path(sys.executable).with_name("bazarutod"), "version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert command.stdout.strip() == VERSION == version("bazaruto")
    for path in ("/healthz", "/version"):
        assert operated.get(path).json()["version"] == VERSION


def test_watchers_of_grpc_health_hear_of_a_stopped_postgres_and_of_its_return(recovering: Operated) -> None:
    heard: dict[tuple[str, str], list[int]] = {}
    with ExitStack() as stack:
        for service, name in _OF_SERVICE.items():
            for asked in ("", name):
                heard[service, asked] = stack.enter_context(watching(recovering, service, asked))
        until(lambda: all(states[-1:] == [SERVING] for states in heard.values()))
        with recovering.postgres_stopped():
            assert until(lambda: all(states[-1] == NOT_SERVING for states in heard.values())) < 6
        until(lambda: all(states[-1] == SERVING for states in heard.values()))
    assert set(map(tuple, heard.values())) == {(SERVING, NOT_SERVING, SERVING)}  # a change is told once, nothing else


@pytest.mark.parametrize("service", SERVICES)
def test_grpc_health_does_not_know_a_service_that_is_not_there(operated: Operated, service: str) -> None:
    name = "bazaruto.claims.v1.ClaimService"
    with watching(operated, service, name) as states:
        until(lambda: states == [SERVICE_UNKNOWN])
    with grpc.insecure_channel(operated.platform.settings.services[service].target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for known in ("", _OF_SERVICE[service]):
            assert health.Check(health_pb2.HealthCheckRequest(service=known), timeout=5).status == SERVING
        with pytest.raises(grpc.RpcError) as refused:
            health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def counts_agree(operated: Operated, path: str) -> bool:
    """Whether the document counts as many jobs as the databases have."""
    counted = operated.get(path).json()["checks"]["jobs"]
    count = "SELECT count(*) FROM procrastinate_jobs WHERE status = '{}'"
    return all(
        counted[key] == sum(int(str(operated.platform.rows(name, count.format(status))[0][0])) for name in SERVICES)
        for key, status in (("pending_jobs", "todo"), ("failed_jobs", "failed"))
    )


@contextmanager
def watching(operated: Operated, service: str, name: str) -> Iterator[list[int]]:
    """The states that `Watch` tells of a name, as they arrive."""
    states: list[int] = []
    with grpc.insecure_channel(operated.platform.settings.services[service].target) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        answers = health_pb2_grpc.HealthStub(channel).Watch(request)

        def listen() -> None:
            with suppress(grpc.RpcError):  # cancelled at the end
                for answer in answers:
                    states.append(answer.status)  # noqa: PERF401 - seen by others at once

        listening = Thread(target=listen)
        listening.start()
        try:
            yield states
        finally:
            answers.cancel()
            listening.join(10)


def pools_that_gave_up(operated: Operated, mark: int) -> set[str]:
    """The services whose pool of connections has tried in vain for as long as it does."""
    lines = operated.lines(after=mark)
    return {line["component"] for line in lines if line["message"].startswith("reconnection attempt in pool")}
