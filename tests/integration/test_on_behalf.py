"""Calls between services: which of them may call, and whose things a service is shown that calls for somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import ids
from libs.identity.service_tokens import ServiceTokens
from libs.rpc import calls, methods
from libs.rpc.client import connect
from libs.rpc.page_tokens import PageTokens
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People, Person

Seen = list[dict[str, str]]


@pytest.fixture
def house(start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str]) -> House:
    return House(start_server, make_database("policies"))


def outcome_of(house: House, policy_id: str, service: Person, **metadata: str) -> str:
    """Whether the service is shown the policy, with that metadata; or why not."""
    try:
        house.stub.GetPolicy(pb.GetPolicyRequest(policy_id=policy_id), metadata=service.metadata(**metadata))
    except grpc.RpcError as error:
        return reason_of(error)
    return "shown"


def test_service_that_calls_for_somebody_is_shown_what_they_are(house: House, people: People) -> None:
    ana, policies = people.customer(), people.service("quotes")
    policy_id = house.issue(ana).policy_id
    assert outcome_of(house, policy_id, policies) == "shown"
    assert outcome_of(house, policy_id, policies, x_on_behalf_of=ana.authorization) == "shown"
    assert outcome_of(house, policy_id, policies, x_on_behalf_of=people.admin().authorization) == "shown"
    stranger = people.customer().authorization
    assert outcome_of(house, policy_id, policies, x_on_behalf_of=stranger) == "RESOURCE_NOT_FOUND"
    assert outcome_of(house, policy_id, policies, x_on_behalf_of="Bearer x") == "TOKEN_INVALID"


def test_nobody_but_a_service_calls_for_others(house: House, people: People) -> None:
    ana, ben = people.customer(), people.customer()
    policy_id = house.issue(ana).policy_id
    assert outcome_of(house, policy_id, ben, x_on_behalf_of=ana.authorization) == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("worker", ["", "-worker"])
def test_method_for_services_admits_those_that_its_contract_lists(house: House, people: People, worker: str) -> None:
    request = pb.ActivatePolicyRequest(policy_id=ids.encode("pol", ids.new()), payment_id=ids.encode("pay", ids.new()))
    request.paid_time.GetCurrentTime()
    reasons = {}
    for service in ("payments", "quotes"):
        with pytest.raises(grpc.RpcError) as refused:
            house.stub.ActivatePolicy(request, metadata=people.service(service + worker).metadata())
        reasons[service] = reason_of(refused.value)
    assert reasons == {"payments": "RESOURCE_NOT_FOUND", "quotes": "ACCESS_DENIED"}


@pytest.fixture
def neighbour() -> Iterator[tuple[str, Seen]]:
    """A neighbour that answers everything with nothing, and what it was told with each call."""
    seen = Seen()

    class Noting(grpc.GenericRpcHandler):
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            if not call.method.startswith("/bazaruto."):
                return None  # health, which it need not tell
            seen.append({str(name): str(value) for name, value in call.invocation_metadata})
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Noting(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", seen
    server.stop(0).wait()


def test_neighbour_is_shown_the_token_of_the_user_and_methods_for_services_both(
    neighbour: tuple[str, Seen], people: People
) -> None:
    address, seen = neighbour
    person = people.customer()
    (method, *_) = methods.of_service(pb.DESCRIPTOR.services_by_name["PolicyService"]).values()
    call = calls.Call(method, {}, float("inf"), cast(grpc.ServicerContext, None), PageTokens(b"secret"))
    verifier = people.verifier()

    def ask(caller: str) -> None:
        call.caller = verifier.verify(caller)
        calls.enter(call)
        stub = rpc_pb.PolicyServiceStub(connect(address, ServiceTokens(people.auth, "quotes")))
        stub.GetPolicy(pb.GetPolicyRequest())
        stub.ActivatePolicy(pb.ActivatePolicyRequest())

    with ThreadPoolExecutor(1) as thread:  # whose context ends with it
        thread.submit(ask, person.authorization).result()
        thread.submit(ask, people.service("payments").authorization).result()
    own = [verifier.verify(told["authorization"]) for told in seen]
    assert [caller.user_id or caller.service for caller in own] == [person.id, "quotes", "quotes", "quotes"]
    assert [told.get("x-on-behalf-of") for told in seen] == [None, person.authorization, None, None]
