"""Errors as HTTP sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from gateway.http import problems
from tests.unit.gateway import gateway_sample as sample

STATUSES = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]


def status(code: int, *details: Any) -> bytes:
    made = status_pb2.Status(code=code, message="text of the service")
    for detail in details:
        if isinstance(detail, any_pb2.Any):
            made.details.append(detail)
        else:
            made.details.add().Pack(detail)
    return bytes(made.SerializeToString())


def problem(code: int, *details: Any) -> problems.Problem:
    raw = status(code, *details) if details else None
    return problems.from_status(sample.registry(), code, "text of the service", raw)


INFO = error_details_pb2.ErrorInfo(reason="QUOTE_EXPIRED", domain="bazaruto", metadata={"state": "x"})


@pytest.mark.parametrize("code", range(17))
def test_every_code_has_its_http_status(code: int) -> None:
    assert problem(code, INFO).status == STATUSES[code]


def test_an_unknown_code_is_an_internal_error() -> None:
    assert problem(99).status == 500


def test_the_body_is_what_aip_193_says() -> None:
    body = json.loads(problem(9, INFO).encoded("t" * 32))
    assert body == {
        "error": {
            "code": 400,
            "status": "FAILED_PRECONDITION",
            "message": "text of the service",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "QUOTE_EXPIRED",
                    "domain": "bazaruto",
                    "metadata": {"state": "x"},
                },
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "t" * 32},
            ],
        }
    }


def test_a_detail_that_cannot_be_rendered_is_dropped_alone() -> None:
    unknown = any_pb2.Any(type_url="type.googleapis.com/not.Known", value=b"x")
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    details = problem(9, unknown, broken, INFO).details
    assert [detail["reason"] for detail in details] == ["QUOTE_EXPIRED"]


def test_details_that_are_no_status_are_no_details() -> None:
    generic_problem = problems.from_status(sample.registry(), 9, "text", b"\xff\xff")
    assert [detail["reason"] for detail in generic_problem.details] == ["CONCURRENT_CHANGE"]


@pytest.mark.parametrize("code", range(1, 17))
def test_the_text_of_the_transport_stays_inside(code: int) -> None:
    assert "text of the service" not in problem(code).message


@pytest.mark.parametrize("code", [8, 14])
def test_who_should_wait_is_told_how_long(code: int) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=6, nanos=500_000_000))
    assert (b"retry-after", b"7") in problem(code, INFO, retry).all_headers()
    assert (b"retry-after", b"1") in problem(code, INFO).all_headers()


def test_who_is_not_known_is_told_how_to_show_it() -> None:
    assert (b"www-authenticate", b'Bearer realm="bazaruto"') in problem(16, INFO).all_headers()


def test_another_method_is_told_which_there_are() -> None:
    assert (b"allow", b"GET, HEAD") in problems.method_not_allowed("GET, HEAD").all_headers()
