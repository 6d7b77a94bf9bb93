"""What every service tells of itself for `/ops`, over a real database."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import psycopg
import pytest

from bazaruto.operations.v1 import operations_pb2 as pb
from bazaruto.operations.v1 import operations_pb2_grpc as rpc_pb
from libs.jobs import QUEUES
from libs.telemetry import recent
from tests.support.people import People


@pytest.fixture
def url(make_database: Callable[[str], str]) -> str:
    return make_database("policies")


@pytest.fixture
def stub(start_server: Callable[..., grpc.Channel], url: str) -> rpc_pb.OperationsServiceStub:
    return rpc_pb.OperationsServiceStub(start_server("policies", url, lambda server, database, settings: None))


@pytest.fixture
def report(stub: rpc_pb.OperationsServiceStub, people: People) -> Callable[..., pb.ServiceReport]:
    def ask(*trace_ids: str) -> pb.ServiceReport:
        request = pb.GetServiceReportRequest(trace_ids=trace_ids)
        return stub.GetServiceReport(request, metadata=people.service("gateway").metadata())

    return ask


def test_report_is_for_services_only(stub: rpc_pb.OperationsServiceStub, people: People) -> None:
    for person in (people.customer(), people.admin()):
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetServiceReport(pb.GetServiceReportRequest(), metadata=person.metadata())
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_traces_that_are_asked_for_are_few_and_well_formed(report: Callable[..., pb.ServiceReport]) -> None:
    for wrong in (["x" * 32], ["0" * 32] * 51):
        with pytest.raises(grpc.RpcError) as refused:
            report(*wrong)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_report_tells_of_queues_workers_and_pool_as_the_database_has_them(
    report: Callable[..., pb.ServiceReport], url: str
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for status in ("todo", "todo", "failed"):
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status, args)"
                " VALUES ('payments', 'a.job', %s, '{}')",
                (status,),
            )
        connection.execute("INSERT INTO paused_queues (queue) VALUES ('mailers')")
        connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '7 s')")
    service_report = report()
    assert [queue.name for queue in service_report.queues] == list(QUEUES)
    queues = {queue.name: queue for queue in service_report.queues}
    assert (queues["payments"].pending, queues["payments"].failed) == (2, 1)
    assert [name for name, queue in queues.items() if queue.paused] == ["mailers"]
    assert [worker.silence.seconds for worker in service_report.workers] == [7]
    assert (service_report.service, service_report.pool.max) == ("policies", 10)
    assert service_report.database_response_time.ToMicroseconds() > 0


def test_report_tells_of_errors_that_the_process_has_logged(report: Callable[..., pb.ServiceReport]) -> None:
    line = {"timestamp": "2026-01-01T00:00:00.000Z", "component": "policies", "level": "error", "message": "it broke"}
    recent.remember_line({**line, "exception": "ZeroDivisionError", "trace_id": "0" * 31 + "1"})
    error = report().errors[-1]
    assert (error.message, error.cause, error.trace_id) == ("it broke", "ZeroDivisionError", "0" * 31 + "1")


def test_without_its_database_a_service_still_tells_the_rest(
    start_server: Callable[..., grpc.Channel], people: People
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    channel = start_server("policies", nowhere, lambda server, database, settings: None)
    service_report = rpc_pb.OperationsServiceStub(channel).GetServiceReport(
        pb.GetServiceReportRequest(), metadata=people.service("gateway").metadata(), timeout=3
    )
    assert service_report.database_error
    assert not service_report.HasField("database_response_time")
    assert (service_report.service, len(service_report.queues)) == ("policies", 0)
