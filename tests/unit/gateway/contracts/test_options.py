"""What a method declares about itself: limits by kind or by option, and options that stop the process."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from gateway.contracts import descriptors, rules
from gateway.contracts.descriptors import RuleError
from gateway.contracts.routes import RouteTable
from tests.support.access import ACCESS_CONTRADICTIONS, as_text
from tests.unit.gateway import gateway_sample as sample
from tests.unit.gateway.gateway_sample import PUBLIC, rpc

YOUNGER = 50999  # the number of an option that is not there yet
POST, GET = 'post: "/v1/things" body: "*"', 'get: "/v1/things"'


def table_of(rule: str, *options: str) -> RouteTable:
    declared = " ".join(f"option (bazaruto.options.v1.{option};" for option in options)
    return rules.build(descriptors.registry(sample.contract(rpc("DoIt", rule, f"{PUBLIC} {declared}"))), ["quotes"])


@pytest.mark.parametrize(
    ("method", "path", "seconds"),
    [
        ("GET", "/v1/books/b", 2.0),
        ("POST", "/v1/books", 5.0),
        ("DELETE", "/v1/books/b", 5.0),
        ("GET", "/v1/books/b:watch", 60.0),
        ("LOCK", "/v1/books/b", 7.5),
    ],
)
def test_a_method_has_the_deadline_that_it_declares_or_that_of_its_kind(method: str, path: str, seconds: float) -> None:
    assert sample.route(method, path)[0].options.limits.seconds == seconds


def test_a_body_has_the_limit_that_its_method_declares_or_64_kib() -> None:
    assert sample.route("POST", "/v1/books")[0].options.limits.body_bytes == 65536
    assert sample.route("PUT", "/v1/books/b/content")[0].options.limits.body_bytes == 1048576


def test_all_routes_of_a_method_have_its_options() -> None:
    assert sample.route("PATCH", "/v1/books/b")[0].options.limits.if_match
    assert sample.route("PUT", "/v1/books/b")[0].options.limits.if_match
    assert not sample.route("POST", "/v1/books")[0].options.limits.if_match


def test_a_call_whose_key_a_neighbour_keeps_needs_it_and_may_be_repeated() -> None:
    (route,) = table_of(POST, "idempotency) = IDEMPOTENCY_FORWARDED").routes
    assert (route.needs_key, route.may_have_key, route.is_repeatable) == (True, False, True)


def test_the_longest_deadline_and_the_largest_body_can_be_declared() -> None:
    (route,) = table_of(POST, "deadline) = {seconds: 30}", "max_body_bytes) = 1048576").routes
    assert (route.options.limits.seconds, route.options.limits.body_bytes) == (30.0, 1048576)


@pytest.mark.parametrize(
    ("rule", "option", "why"),
    [
        (POST, "deadline) = {seconds: 30 nanos: 1}", "option deadline is more than 30 s"),
        (GET, "deadline) = {seconds: 0}", "option deadline is not more than zero"),
        (POST, "deadline) = {seconds: -1}", "option deadline is not more than zero"),
        (POST, "max_body_bytes) = 1048577", "option max_body_bytes is not between 1 and 1048576"),
        (POST, "max_body_bytes) = 0", "option max_body_bytes is not between 1 and 1048576"),
        (GET, "max_body_bytes) = 1000", "option max_body_bytes is for a route with a body"),
        (GET, "if_match) = true", "option if_match is for a change"),
        (f'{POST} additional_bindings {{get: "/v1/other"}}', "if_match) = true", "option if_match is for a change"),
    ],
)
def test_options_that_contradict_their_method_stop_the_process(rule: str, option: str, why: str) -> None:
    with pytest.raises(RuleError, match=r"^bazaruto\.quotes\.test\.ThingService/DoIt[: ]") as caught:
        table_of(rule, option)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("audience", "access", "why"), [case for case in ACCESS_CONTRADICTIONS if case[0] != "INTERNAL"]
)
def test_access_that_contradicts_itself_stops_the_process(audience: str, access: dict[str, Any], why: str) -> None:
    contract = sample.contract(rpc("DoIt", POST, as_text(audience, access)))
    with pytest.raises(RuleError, match=f"ThingService/DoIt: option access {why}"):
        rules.build(descriptors.registry(contract), ["quotes"])


def test_a_stream_may_take_longer_than_any_other_call() -> None:
    stream = rpc("DoIt", GET, f"{PUBLIC} option (bazaruto.options.v1.deadline) = {{seconds: 3600}};").replace(
        "returns (", "returns (stream "
    )
    (route,) = rules.build(descriptors.registry(sample.contract(stream)), ["quotes"]).routes
    assert route.options.limits.seconds == 3600.0


def contract_of(number: int, value: bytes) -> descriptor_pb2.FileDescriptorSet:
    """A contract whose method declares an option as a younger compiler would write it: `value` without the tag."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(sample.contract(rpc("DoIt", GET)))
    files = {file.name: file for file in contract.file}
    files["bazaruto/options/v1/options.proto"].extension.add(
        name="younger",
        number=YOUNGER,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        extendee=".google.protobuf.MethodOptions",
    )
    wire_type = 0 if len(value) == 1 else 2
    tag = number << 3 | wire_type
    varint = bytes([tag & 0x7F | 0x80, tag >> 7 & 0x7F | 0x80, tag >> 14])
    files["sample.proto"].service[0].method[0].options.MergeFromString(varint + value)
    return contract


@pytest.mark.parametrize(
    ("number", "value", "why"),
    [
        (YOUNGER, b"\x01", "declares option younger, which this gateway does not know"),
        (50001, b"\x02\x08\x09", "option access has the audience 9, which is not known here"),
        (50002, b"\x09", "option idempotency is 9, which this gateway does not know"),
    ],
)
def test_what_a_younger_contract_declares_stops_a_gateway_that_does_not_know_it(
    number: int, value: bytes, why: str
) -> None:
    contract = contract_of(number, value).SerializeToString()
    with pytest.raises(RuleError, match=f"ThingService/DoIt: {why}"):
        rules.build(descriptors.registry(contract), ["quotes"])


def test_an_unknown_option_that_no_method_declares_is_no_hindrance() -> None:
    contract = contract_of(50002, b"\x03").SerializeToString()
    assert len(rules.build(descriptors.registry(contract), ["quotes"]).routes) == 1
