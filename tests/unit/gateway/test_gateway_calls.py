"""Metadata, deadlines and addresses: what a service is told about a request."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import calls, channels
from gateway.exchange import Request
from gateway.observing import Observer, Watch, subject
from gateway.problems import Problem
from tests.unit.gateway import gateway_sample as sample

TOKEN = "a.eyJzdWIiOiJ1c3JfMSJ9.c"


def request(*headers: tuple[str, str], path: str = "/v1/books/b", peer: str = "198.51.100.7") -> Request:
    scope: dict[str, Any] = {
        "method": "GET",
        "raw_path": path.encode("latin-1"),
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return Request(scope)


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [("GET", "/v1/books/b", 2.0), ("POST", "/v1/books", 5.0), ("GET", "/v1/books/b:watch", 60.0)],
)
def test_each_kind_of_route_has_its_longest_deadline(method: str, path: str, most: float) -> None:
    assert calls.longest(sample.route(method, path)[0]) == most


@pytest.mark.parametrize(("method", "path", "most"), [("GET", "/v1/books/b", 2.0), ("POST", "/v1/books", 30.0)])
def test_only_writes_of_payments_may_wait_for_a_provider(method: str, path: str, most: float) -> None:
    route = replace(sample.route(method, path)[0], service="payments")
    assert calls.longest(route) == most


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("grpc-timeout", "500m", 0.5),
        ("grpc-timeout", "1S", 1.0),
        ("grpc-timeout", "1H", 2.0),
        ("grpc-timeout", "0n", 0.0),
        ("request-timeout", "1.5", 1.5),
        ("request-timeout", "99", 2.0),
    ],
)
def test_a_caller_can_shorten_the_deadline_only(name: str, value: str, seconds: float) -> None:
    assert calls.seconds(request((name, value)), 2.0) == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [("grpc-timeout", "5"), ("grpc-timeout", "-1S"), ("grpc-timeout", "123456789S"), ("request-timeout", "soon")],
)
def test_a_malformed_timeout_is_refused(name: str, value: str) -> None:
    with pytest.raises(Problem) as caught:
        calls.seconds(request((name, value)), 2.0)
    assert caught.value.status == 400


def test_metadata_is_what_the_list_allows() -> None:
    found = request(
        ("authorization", "Bearer x"),
        ("idempotency-key", "k" * 20),
        ("accept-language", "pt"),
        ("tracestate", "a=b"),
        ("if-match", '"v1"'),
        ("x-user-id", "admin"),
        ("x-tenant", "other"),
        ("grpc-metadata-x-user-id", "admin"),
        ("x-forwarded-for", "10.0.0.1"),
        ("cookie", "a=b"),
        ("x-http-method-override", "DELETE"),
    )
    assert dict(calls.metadata(found, "00-t", "r1", "198.51.100.7")) == {
        "traceparent": "00-t",
        "x-request-id": "r1",
        "x-forwarded-for": "198.51.100.7",
        "authorization": "Bearer x",
        "idempotency-key": "k" * 20,
        "accept-language": "pt",
        "tracestate": "a=b",
        "if-match": "v1",
    }


def test_metadata_that_is_not_visible_ascii_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        calls.metadata(request(("authorization", "Bearer \xe9")), "t", "r", "c")
    assert caught.value.status == 400


def test_more_metadata_than_a_service_takes_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        calls.metadata(request(("authorization", "x" * 7200)), "t", "r", "c")
    assert caught.value.status == 431


def test_only_listed_metadata_comes_back() -> None:
    assert calls.headers_back((("idempotency-replayed", "true"), ("x-inside", "1"))) == [
        (b"idempotency-replayed", b"true")
    ]


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_forwarded_address_counts_behind_a_proxy_only(peer: str, forwarded: str, address: str) -> None:
    assert request(("x-forwarded-for", forwarded), peer=peer).client_address(PROXIES) == address


def test_without_proxies_nothing_is_forwarded() -> None:
    assert request(("x-forwarded-for", "1.2.3.4"), peer="10.0.0.1").client_address(()) == "10.0.0.1"


@pytest.mark.parametrize("name", ["authorization", "idempotency-key", "content-type"])
def test_a_header_that_counts_once_must_not_come_twice(name: str) -> None:
    found = request((name, "a"), (name, "b"))
    assert found.wrong is not None
    assert found.wrong.status == 400


@pytest.mark.parametrize(("given", "echoed"), [("abc-1", "abc-1"), ("a b", "made"), ("x" * 129, "made"), ("", "made")])
def test_a_request_id_is_echoed_if_it_is_a_plain_one(given: str, echoed: str) -> None:
    assert request(("x-request-id", given)).request_id("made") == echoed


def test_only_what_is_safe_to_repeat_is_repeated() -> None:
    names = {name["method"] for name in channels.repeated(sample.table().routes)}
    assert {"GetBook", "LendBook", "SearchBooks"} <= names
    assert not names & {"CreateBook", "UpdateBook", "DeleteBook", "UploadBook"}


@pytest.mark.parametrize(
    ("token", "user"),
    [
        (f"Bearer {TOKEN}", "usr_1"),
        ("Bearer a.b.c", ""),
        ("x", ""),
        (f"Bearer a.{base64.b64encode(b'[' * 2000).decode()}.c", ""),
    ],
)
def test_the_log_names_whom_a_token_is_about(token: str, user: str) -> None:
    assert subject(token) == user


@pytest.mark.parametrize(("checked", "status", "named"), [(True, 200, True), (True, 401, False), (False, 200, False)])
def test_the_log_names_nobody_whose_token_was_not_checked(checked: bool, status: int, named: bool) -> None:
    watch = Watch(request(("authorization", f"Bearer {TOKEN}")), "/v1/books/{book_id}", token_checked=checked)
    with capture_logs() as lines:
        Observer().end(watch, status)
    assert [line.get("user_id") for line in lines] == ["usr_1" if named else None]
