"""Which route a request takes, and which rules stop the process."""

from __future__ import annotations

import pytest

from bazarutod.stack import SERVICES
from gateway.contracts import descriptors, rules
from gateway.contracts.descriptors import RuleError
from gateway.contracts.routes import RouteTable
from tests.unit.gateway import gateway_sample as sample
from tests.unit.gateway.gateway_sample import rpc


def table_of(*rpcs: str) -> RouteTable:
    return rules.build(descriptors.registry(sample.contract(*rpcs)), ["quotes"])


def name_of(table: RouteTable, method: str, path: str) -> str:
    match = table.find(method, path)
    return match[0].rpc.name if match else ""


@pytest.fixture(scope="module")
def overlapping() -> RouteTable:
    """Templates that match the same paths, the least specific first."""
    return table_of(
        rpc("Rest", 'get: "/v1/{name=**}"'),
        rpc("Star", 'get: "/v1/{name}"'),
        rpc("Literal", 'get: "/v1/me"'),
        rpc("Verb", 'get: "/v1/{name}:verb"'),
        rpc("Deep", 'get: "/v1/{name=a/*}"'),
        rpc("PostMe", 'post: "/v1/me" body: "*"'),
        rpc("PutStar", 'put: "/v1/{name}" body: "*"'),
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/me", "Literal"),
        ("/v1/%6De", "Literal"),
        ("/v1/you", "Star"),
        ("/v1/you:verb", "Verb"),
        ("/v1/me:verb", "Verb"),
        ("/v1/you:other", "Star"),
        ("/v1/you%3Averb", "Star"),
        ("/v1/a:b:verb", "Verb"),
        ("/v1/a/b", "Deep"),
        ("/v1/a%2Fb", "Star"),
        ("/v1/b/c", "Rest"),
        ("/v1/a/b/c", "Rest"),
        ("/v1/*", "Star"),
        ("/v1/", "Rest"),
        ("/v1", "Rest"),
        ("/v2/me", ""),
        ("/", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_the_most_specific_template_wins(overlapping: RouteTable, path: str, expected: str) -> None:
    assert name_of(overlapping, "GET", path) == expected


def test_a_less_specific_template_serves_a_method_that_the_specific_one_has_not(
    overlapping: RouteTable,
) -> None:
    assert name_of(overlapping, "PUT", "/v1/me") == "PutStar"
    assert overlapping.allowed("/v1/me") == {"GET", "POST", "PUT"}


def test_a_known_verb_is_never_part_of_a_variable(overlapping: RouteTable) -> None:
    assert name_of(overlapping, "PUT", "/v1/you:verb") == ""
    assert overlapping.allowed("/v1/you:verb") == {"GET"}


def test_an_unknown_path_allows_nothing(overlapping: RouteTable) -> None:
    assert overlapping.allowed("/nothing") == set()


def test_a_segment_must_not_be_empty() -> None:
    table = table_of(rpc("Star", 'get: "/v1/{name}/x"'))
    assert name_of(table, "GET", "/v1//x") == ""
    assert name_of(table, "GET", "/v1/y/x/") == ""


def test_additional_bindings_and_custom_methods_are_routes() -> None:
    assert sample.route("GET", "/v1/shelves/s/books/b")[0].rpc.name == "GetBook"
    assert sample.route("PUT", "/v1/books/b")[0].rpc.name == "UpdateBook"
    assert sample.route("LOCK", "/v1/books/b")[0].rpc.name == "LockBook"


def test_every_public_method_of_the_platform_has_its_route() -> None:
    registry = descriptors.load()
    table = rules.build(registry, SERVICES)
    routed = {route.rpc for route in table.routes}
    for service in descriptors.services(registry):
        for method in service.methods:
            access = descriptors.option(registry, method.proto.options, "bazaruto.options.v1.access")
            assert (method in routed) == (int(access.audience) != 4), f"{method}"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ('get: "/v1/{name}" body: "*"', "has a body, which GET has not"),
        ('delete: "/v1/{name}" body: "name"', "has a body, which DELETE has not"),
        ('post: "/v1/things" body: "nothing"', "body names 'nothing'"),
        ('get: "/v1/things" response_body: "nothing"', "response_body names 'nothing'"),
        ('get: "/v1/{nothing}"', "nothing is not a field"),
        ('get: "/v1/{tags}"', "is repeated"),
        ('get: "/v1/{name"', "a { without a }"),
        ('body: "*"', "names no method and path"),
        (
            'get: "/v1/a" additional_bindings {get: "/v1/b" additional_bindings {get: "/v1/c"}}',
            "cannot be nested",
        ),
    ],
)
def test_a_wrong_rule_stops_the_process_and_is_named(rule: str, why: str) -> None:
    with pytest.raises(RuleError, match=r"bazaruto.quotes.test.ThingService/DoIt") as caught:
        table_of(rpc("DoIt", rule))
    assert why in str(caught.value)


def test_two_rules_for_the_same_requests_stop_the_process() -> None:
    with pytest.raises(RuleError, match=r"Second .* matches the same requests as .*First"):
        table_of(rpc("First", 'get: "/v1/{name}"'), rpc("Second", 'get: "/v1/{name=*}"'))


@pytest.mark.parametrize(
    ("access", "why"),
    [
        ("", "does not say who may call it"),
        ("option (bazaruto.options.v1.access) = {};", "does not say who may call it"),
        (
            'option (bazaruto.options.v1.access) = {audience: AUDIENCE_INTERNAL services: "quotes"};',
            "for internal services only",
        ),
    ],
)
def test_a_route_needs_an_audience_from_outside(access: str, why: str) -> None:
    with pytest.raises(RuleError, match=why):
        table_of(rpc("DoIt", 'get: "/v1/{name}"', access))


def test_a_method_that_takes_a_stream_has_no_route() -> None:
    with pytest.raises(RuleError, match="takes a stream"):
        table_of(rpc("DoIt", 'post: "/v1/things" body: "*"', stream="stream"))


def test_a_route_needs_a_configured_service() -> None:
    with pytest.raises(RuleError, match="no configured service"):
        rules.build(sample.registry(), ["users"])
