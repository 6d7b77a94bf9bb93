"""Which method publishes the keys of access tokens."""

from __future__ import annotations

import pytest
from protobuf import DescMethod

from bazarutod.stack import SERVICES
from gateway.contracts import descriptors, keys
from gateway.contracts.descriptors import RuleError
from tests.unit.gateway import gateway_sample as sample
from tests.unit.gateway.gateway_sample import PUBLIC

PUBLISHES = "option (bazaruto.options.v1.publishes_keys) = true;"
MESSAGES = """
message Nothing {}
message Key { string kid = 1; }
message Keys { repeated Key keys = 1; }
message Names { repeated string keys = 1; }
"""


def publisher(*rpcs: str, services: tuple[str, ...] = ("quotes",)) -> DescMethod | None:
    return keys.publisher(descriptors.registry(sample.contract(*rpcs, messages=MESSAGES)), services)


def rpc(name: str, options: str, reply: str = "Keys") -> str:
    return f"rpc {name}(Nothing) returns ({reply}) {{ {options} }}"


def test_the_platform_has_one_method_that_publishes_keys() -> None:
    method = keys.publisher(descriptors.load(), SERVICES)
    assert method is not None
    assert descriptors.full_name(method) == "/bazaruto.users.v1.AuthService/ListPublicKeys"


def test_a_method_is_found_by_its_option_whatever_its_name() -> None:
    method = publisher(rpc("Other", PUBLIC), rpc("Show", PUBLIC + PUBLISHES))
    assert method is not None
    assert method.name == "Show"


def test_contracts_may_have_no_keys() -> None:
    assert publisher(rpc("Other", PUBLIC)) is None


def test_two_methods_that_publish_keys_stop_the_process() -> None:
    with pytest.raises(RuleError, match=r"one method only, and is declared by .*/First and .*/Second"):
        publisher(rpc("First", PUBLIC + PUBLISHES), rpc("Second", PUBLIC + PUBLISHES))


@pytest.mark.parametrize(
    ("options", "reply", "services", "why"),
    [
        ("", "Keys", ("quotes",), "everybody may call"),
        ("option (bazaruto.options.v1.access) = {audience: AUDIENCE_INTERNAL};", "Keys", ("quotes",), "everybody may"),
        (PUBLIC, "stream Keys", ("quotes",), "answers once"),
        (PUBLIC, "Keys", ("users",), "belongs to a configured service"),
        (PUBLIC, "Names", ("quotes",), "answers with a list of keys"),
        (PUBLIC, "Nothing", ("quotes",), "answers with a list of keys"),
    ],
)
def test_a_method_that_cannot_be_asked_for_keys_stops_the_process(
    options: str, reply: str, services: tuple[str, ...], why: str
) -> None:
    with pytest.raises(RuleError, match=rf"ThingService/Show: option publishes_keys is for a method that {why}"):
        publisher(rpc("Show", options + PUBLISHES, reply), services=services)
