"""Metadata and deadlines: what a service is told about a request."""

from __future__ import annotations

import pytest

from gateway import channels, metadata
from gateway.http.problems import Problem
from tests.unit.gateway import gateway_sample as sample
from tests.unit.gateway.http_request import request


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
    assert metadata.seconds(request((name, value)), 2.0) == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [("grpc-timeout", "5"), ("grpc-timeout", "-1S"), ("grpc-timeout", "123456789S"), ("request-timeout", "soon")],
)
def test_a_malformed_timeout_is_refused(name: str, value: str) -> None:
    with pytest.raises(Problem) as caught:
        metadata.seconds(request((name, value)), 2.0)
    assert caught.value.status == 400


def test_metadata_is_what_the_list_allows() -> None:
    http_request = request(
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
    assert dict(metadata.sent(http_request, "00-t", "r1", "198.51.100.7")) == {
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
        metadata.sent(request(("authorization", "Bearer \xe9")), "t", "r", "c")
    assert caught.value.status == 400


def test_more_metadata_than_a_service_takes_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        metadata.sent(request(("authorization", "x" * 7200)), "t", "r", "c")
    assert caught.value.status == 431


def test_only_listed_metadata_comes_back() -> None:
    assert metadata.headers_back((("idempotency-replayed", "true"), ("x-inside", "1"))) == [
        (b"idempotency-replayed", b"true")
    ]


def test_only_what_is_safe_to_repeat_is_repeated() -> None:
    names = {name["method"] for name in channels.repeated(sample.table().routes)}
    assert {"GetBook", "LendBook", "SearchBooks"} <= names
    assert not names & {"CreateBook", "UpdateBook", "DeleteBook", "UploadBook"}
