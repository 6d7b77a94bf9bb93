"""The OpenAPI document and the reference page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_spec_validator import validate

from bazarutod.stack import SERVICES
from gateway.contracts import descriptors, rules
from gateway.contracts.descriptors import RuleError
from gateway.reference import openapi, viewer
from tests.unit.gateway import gateway_sample as sample


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    registry = descriptors.load()
    return openapi.build(registry, rules.build(registry, SERVICES))


@pytest.fixture(scope="module")
def sample_document() -> dict[str, Any]:
    return openapi.build(sample.registry(), sample.table())


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_a_document_with_every_feature_is_valid(sample_document: dict[str, Any]) -> None:
    validate(sample_document)


def test_the_same_contracts_give_the_same_bytes(document: dict[str, Any]) -> None:
    registry = descriptors.load()
    again = openapi.build(registry, rules.build(registry, SERVICES))
    assert openapi.encode(document) == openapi.encode(again)


def test_every_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    table = rules.build(descriptors.load(), SERVICES)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {
        (route.http_method, re.sub(r"\{\w+\.(\w+)\}", r"{\1}", route.template.text)) for route in table.routes
    }


def test_an_operation_says_who_may_call_it(document: dict[str, Any]) -> None:
    assert document["paths"]["/v1/users"]["post"]["security"] == []
    listing = document["paths"]["/v1/users"]["get"]
    assert listing["security"] == [{"accessToken": []}]
    assert listing["x-roles"] == ["admin"]


def test_rules_comments_and_examples_of_the_contract_are_in_the_schema(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["bazaruto.users.v1.RegisterUserRequest"]
    password = schema["properties"]["password"]
    assert (password["minLength"], password["maxLength"]) == (8, 256)
    assert "Password of 8 to 256 characters" in password["description"]
    assert schema["properties"]["email"]["format"] == "email"
    assert set(schema["required"]) == {"email", "password", "fullName"}
    policy = document["components"]["schemas"]["bazaruto.policies.v1.Policy"]
    assert policy["properties"]["policyNumber"]["examples"] == ["MOT-2026-000042"]


def test_example_of_a_request_is_laid_out_as_http_carries_it(document: dict[str, Any]) -> None:
    paths = document["paths"]
    body = paths["/v1/users/{user_id}"]["patch"]["requestBody"]["content"]["application/json"]
    assert body["example"] == {"phone": "+258841234567"}
    parameters = {one["name"]: one.get("example") for one in paths["/v1/users/{user_id}"]["patch"]["parameters"]}
    assert parameters["user_id"] == "me"
    day = {one["name"]: one.get("example") for one in paths["/v1/ledger/trialBalance"]["get"]["parameters"]}
    assert day.items() >= {"asOfDate.year": 2026, "asOfDate.month": 12, "asOfDate.day": 31}.items()


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    without = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        for content in operation.get("requestBody", {"content": {}})["content"].values()
        if "example" not in content
    ]
    assert without == []


def test_example_that_is_no_such_message_stops_the_process() -> None:
    message = "message Ask { option (bazaruto.options.v1.example) = '{\"unknown\": 1}'; string name = 1; }"
    registry = descriptors.registry(
        sample.contract(
            f'rpc Do(Ask) returns (Ask) {{ {sample.PUBLIC} option (google.api.http) = {{post: "/v1/a" body: "*"}}; }}',
            messages=message,
        )
    )
    with pytest.raises(RuleError, match=r"Ask: option example is no such message"):
        openapi.build(registry, rules.build(registry, ("quotes",)))


def test_an_idempotency_key_is_a_parameter(document: dict[str, Any]) -> None:
    parameters = {one["name"]: one for one in document["paths"]["/v1/policies"]["post"]["parameters"]}
    assert parameters["Idempotency-Key"]["required"] is True


def test_if_match_is_a_parameter_where_it_is_honoured(document: dict[str, Any]) -> None:
    showing = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
        if any(parameter["name"] == "If-Match" for parameter in operation["parameters"])
    }
    table = rules.build(descriptors.load(), SERVICES)
    honouring = [route.rpc for route in table.routes if route.options.limits.if_match]
    assert showing == {f"{rpc.parent.name}_{rpc.name}" for rpc in honouring}
    assert {"UserService_UpdateUser", "QuoteService_AcceptQuote"} <= showing


def test_an_operation_says_how_long_it_takes_at_most(document: dict[str, Any]) -> None:
    assert document["paths"]["/v1/quotes/{quote_id}"]["get"]["x-deadline"] == "2s"
    assert document["paths"]["/v1/quotes"]["post"]["x-deadline"] == "5s"
    assert document["paths"]["/v1/invoices/{invoice_id}:pay"]["post"]["x-deadline"] == "30s"


def test_a_body_says_how_large_it_may_be(sample_document: dict[str, Any]) -> None:
    upload = sample_document["paths"]["/v1/books/{book_id}/content"]["put"]["requestBody"]
    assert upload["description"] == "At most 1048576 bytes."
    smaller = openapi.build(sample.registry(), sample.table(), max_body_bytes=20000)
    for path in ("/v1/books", "/v1/books/{book_id}:lend"):
        assert sample_document["paths"][path]["post"]["requestBody"]["description"] == "At most 65536 bytes."
        assert smaller["paths"][path]["post"]["requestBody"]["description"] == "At most 20000 bytes."


def test_the_reasons_of_an_rpc_are_examples_of_its_errors(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/policies/{policy_id}"]["get"]
    assert operation["x-error-reasons"] == ["RESOURCE_NOT_FOUND"]
    example = operation["responses"]["default"]["content"]["application/json"]["examples"]["RESOURCE_NOT_FOUND"]
    assert example["value"]["error"]["code"] == 404


def test_a_change_requires_nothing_and_leaves_out_what_cannot_be_changed(document: dict[str, Any]) -> None:
    change = document["components"]["schemas"]["bazaruto.users.v1.User.Change"]
    assert "required" not in change
    assert set(change["properties"]) == {"fullName", "phone", "locale"}


def test_a_stream_is_described_in_both_forms(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/policies/{policy_id}:watch"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/x-ndjson", "text/event-stream"}


def test_every_reference_points_at_something(document: dict[str, Any]) -> None:
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src") and value:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("which", ["document", "sample_document"])
def test_the_page_is_whole_and_fetches_nothing(which: str, request: pytest.FixtureRequest) -> None:
    page = _Page()
    page.feed(viewer.render(request.getfixturevalue(which)).decode())
    assert page.open == []
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "/openapi.json" or (link.startswith("#") and link[1:] in page.ids)


def test_the_policy_of_the_page_allows_its_style_alone() -> None:
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; frame-ancestors 'none'", viewer.policy()
    )
