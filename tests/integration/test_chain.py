"""The chain around every method, seen from outside: who is admitted, what is refused, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2 as health_v1
from grpc_health.v1 import health_pb2_grpc as health_v1_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bazaruto.operations.v1 import health_pb2, health_pb2_grpc
from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import ids
from libs.config import Settings
from libs.db import Database
from libs.identity.service_tokens import ServiceTokens
from libs.rpc import connection, idempotency
from libs.rpc.client import connect
from libs.rpc.server import Server
from services.policies.clients import Payments, Quotes, Users
from services.policies.lifecycle.servicer.policies import PolicyServicer
from tests.support.errors import reason_of, status_of, violations_of
from tests.support.people import People
from tests.support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Broken(PolicyServicer):
    """A servicer with faults in it: one method fails, and one forgets the keys of its callers."""

    def IssuePolicy(self, request: pb.IssuePolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        if request.plan_code == "neighbour":
            return super().IssuePolicy(request, context)
        with self._database.transaction() as session:
            if request.plan_code == "claimed":
                idempotency.claim(session)
            session.execute(sa.text("INSERT INTO policy_numbers (product_code, year, last) VALUES ('ANA', 2026, 1)"))
            if request.plan_code == "kept":
                idempotency.keep(session, pb.Policy())
        return pb.Policy()

    def GetPolicy(self, request: pb.GetPolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        raise ZeroDivisionError("the secret is 42")

    def GetCover(self, request: pb.GetCoverRequest, context: grpc.ServicerContext) -> pb.Cover:
        reply, numbers = pb.Cover(), range(20)
        fields = reply.objects.add().fields
        for number in reversed(numbers) if request.HasField("at_time") else numbers:
            fields[str(number)] = number
        return reply


@pytest.fixture
def url(make_database: Callable[[str], str]) -> str:
    return make_database("policies")


@pytest.fixture
def channel(start_server: Callable[..., grpc.Channel], url: str) -> grpc.Channel:
    def build(server: Server, database: Database, settings: Settings) -> None:
        nobody = connect("127.0.0.1:1", ServiceTokens(settings.auth, "policies"))  # nobody listens there
        servicer = Broken(database, Quotes(nobody), Users(nobody), Payments(nobody))
        server.add(rpc_pb.add_PolicyServiceServicer_to_server, servicer)

    return start_server("policies", url, build)


@pytest.fixture
def stub(channel: grpc.Channel) -> rpc_pb.PolicyServiceStub:
    return rpc_pb.PolicyServiceStub(channel)


def test_call_without_token_is_refused_before_its_fields_are_looked_at(stub: rpc_pb.PolicyServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetPolicy(pb.GetPolicyRequest(policy_id="nonsense"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason_of(refused.value) == "TOKEN_INVALID"


def test_wrong_fields_are_named(stub: rpc_pb.PolicyServiceStub, people: People) -> None:
    request = pb.ListPoliciesRequest(page_size=-1, product_code="No Such Thing")
    with pytest.raises(grpc.RpcError) as refused:
        stub.ListPolicies(request, metadata=people.customer().metadata())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations_of(refused.value)) == {"page_size", "product_code"}


def test_method_for_services_refuses_users(channel: grpc.Channel, people: People) -> None:
    stub = health_pb2_grpc.HealthDetailServiceStub(channel)
    for person in (people.customer(), people.admin()):
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetHealthDetail(health_pb2.GetHealthDetailRequest(), metadata=person.metadata())
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    detail = stub.GetHealthDetail(health_pb2.GetHealthDetailRequest(), metadata=people.service("gateway").metadata())
    assert detail.healthy


def test_fault_in_a_servicer_tells_nothing_but_the_trace_id(stub: rpc_pb.PolicyServiceStub, people: People) -> None:
    metadata = people.customer().metadata(traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    request = pb.GetPolicyRequest(policy_id=ids.encode("pol", ids.new()))
    with pytest.raises(grpc.RpcError) as failed:
        stub.GetPolicy(request, metadata=metadata)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    status = status_of(failed.value)
    assert b"42" not in status.SerializeToString().replace(TRACE.encode(), b"")
    request_info = error_details_pb2.RequestInfo()
    assert any(detail.Unpack(request_info) for detail in status.details)
    assert request_info.request_id == TRACE


def test_equal_replies_are_equal_bytes_however_their_maps_were_filled(channel: grpc.Channel, people: People) -> None:
    call: Callable[..., bytes] = channel.unary_unary(
        f"/{pb.DESCRIPTOR.package}.PolicyService/GetCover", pb.GetCoverRequest.SerializeToString
    )
    request = pb.GetCoverRequest(policy_id=ids.encode("pol", ids.new()))
    forwards = call(request, metadata=people.customer().metadata())
    request.at_time.seconds = 1
    assert call(request, metadata=people.customer().metadata()) == forwards != b""


def test_call_with_too_little_time_left_is_not_begun(stub: rpc_pb.PolicyServiceStub, people: People) -> None:
    metadata = people.customer().metadata()
    stub.ListPolicies(pb.ListPoliciesRequest(), metadata=metadata)  # connected, so that the time is the server's
    with pytest.raises(grpc.RpcError) as refused:
        stub.ListPolicies(pb.ListPoliciesRequest(), metadata=metadata, timeout=0.08)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_neighbour_that_does_not_answer_is_told_as_unavailable(stub: rpc_pb.PolicyServiceStub, people: People) -> None:
    request = pb.IssuePolicyRequest(quote_id=ids.encode("quo", ids.new()), plan_code="neighbour")
    with pytest.raises(grpc.RpcError) as failed:
        stub.IssuePolicy(request, metadata=people.customer().metadata(idempotency_key="k" * 20), timeout=4)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(failed.value) == "DEPENDENCY_UNAVAILABLE"


def test_neighbour_that_hangs_is_told_as_unavailable_and_asked_once(
    start_server: Callable[..., grpc.Channel], url: str, people: People
) -> None:
    asked, stopping = list[str](), threading.Event()

    class Hanging(grpc.GenericRpcHandler):
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            if not call.method.startswith("/bazaruto."):
                return None  # health, which it need not tell
            asked.append(call.method)
            return grpc.unary_unary_rpc_method_handler(lambda request, context: str(stopping.wait(60)).encode())

    neighbour = grpc.server(ThreadPoolExecutor(3))
    neighbour.add_generic_rpc_handlers((Hanging(),))
    port = neighbour.add_insecure_port("127.0.0.1:0")
    neighbour.start()

    def build(server: Server, database: Database, settings: Settings) -> None:
        to_neighbour = connect(f"127.0.0.1:{port}", ServiceTokens(settings.auth, "policies"))
        parts = (Quotes(to_neighbour), Users(to_neighbour), Payments(to_neighbour))
        server.add(rpc_pb.add_PolicyServiceServicer_to_server, PolicyServicer(database, *parts))
        target.append(settings.services["policies"].target)

    target: list[str] = []
    start_server("policies", url, build)
    try:
        with grpc.insecure_channel(target[0], options=connection.options([{}])) as repeating:  # as the gateway's
            request = pb.IssuePolicyRequest(quote_id=ids.encode("quo", ids.new()), plan_code="annual")
            metadata = people.customer().metadata(idempotency_key="k" * 20)
            with pytest.raises(grpc.RpcError) as failed:
                rpc_pb.PolicyServiceStub(repeating).IssuePolicy(request, metadata=metadata, timeout=3)
    finally:
        stopping.set()
        neighbour.stop(0).wait()
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(failed.value) == "DEPENDENCY_UNAVAILABLE"
    assert len(asked) == 1


# The key is left alone, or claimed without a result, or given a result without having been claimed.
@pytest.mark.parametrize("fault", ["forgotten", "claimed", "kept"])
def test_servicer_that_forgets_the_key_of_its_caller_is_an_error_of_ours(
    stub: rpc_pb.PolicyServiceStub, people: People, fault: str
) -> None:
    request = pb.IssuePolicyRequest(quote_id=ids.encode("quo", ids.new()), plan_code=fault)
    with pytest.raises(grpc.RpcError) as failed:
        stub.IssuePolicy(request, metadata=people.customer().metadata(idempotency_key="k" * 20))
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert reason_of(failed.value) == "INTERNAL_ERROR"


def test_effect_whose_key_was_claimed_and_whose_result_was_not_kept_is_undone(
    stub: rpc_pb.PolicyServiceStub, people: People, url: str
) -> None:
    request = pb.IssuePolicyRequest(quote_id=ids.encode("quo", ids.new()), plan_code="claimed")
    with pytest.raises(grpc.RpcError):
        stub.IssuePolicy(request, metadata=people.customer().metadata(idempotency_key="k" * 20))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM policy_numbers").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)


def test_health_protocol_knows_every_service_and_no_other(channel: grpc.Channel) -> None:
    health = health_v1_grpc.HealthStub(channel)
    for name in ("", "bazaruto.policies.v1.PolicyService"):
        request = health_v1.HealthCheckRequest(service=name)
        until(lambda request=request: health.Check(request).status == health_v1.HealthCheckResponse.SERVING)  # type: ignore[misc]
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(health_v1.HealthCheckRequest(service="bazaruto.claims.v1.ClaimService"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(reflection.ServerReflectionInfo(iter([request]))))
    names = {service.name for service in answer.list_services_response.service}
    assert "bazaruto.policies.v1.PolicyService" in names
