"""HTTP as callers speak it: methods, media, headers, limits."""

from __future__ import annotations

import gzip
import json
import re
import time
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest

from libs.version import VERSION


def reason(response: httpx.Response) -> str:
    """The reason of an error, whose body must be an AIP-193 error with this status and trace."""
    error = response.json()["error"]
    assert error["code"] == response.status_code
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert details["RequestInfo"]["requestId"] == response.headers["x-trace-id"]
    assert details["ErrorInfo"]["domain"] == "bazaruto"
    return str(details["ErrorInfo"]["reason"])


def test_a_get_becomes_a_call_and_its_reply_json(client: httpx.Client) -> None:
    response = client.get("/v1/books/b%2F1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["bookId"] == "b/1"


def test_a_post_passes_its_body_on(client: httpx.Client) -> None:
    response = client.post("/v1/books", json={"title": "Ulysses", "sold": "5"})
    assert (response.status_code, response.json()["title"], response.json()["sold"]) == (200, "Ulysses", "5")


def test_a_patch_tells_the_service_which_fields_to_change(client: httpx.Client) -> None:
    response = client.patch("/v1/books/b1", json={"title": "x", "author": {"bornYear": 1}})
    assert response.json()["labels"]["mask"] == "title,author.born_year"


def test_an_error_of_a_service_arrives_with_its_details(client: httpx.Client) -> None:
    response = client.get("/v1/books/missing")
    assert response.status_code == 404
    assert reason(response) == "MISSING"
    assert response.headers["cache-control"] == "no-store"


def test_an_exception_of_a_service_tells_nothing(client: httpx.Client) -> None:
    response = client.get("/v1/books/crash")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert reason(response) == "INTERNAL_ERROR"


def test_who_is_not_known_is_asked_for_a_token(client: httpx.Client) -> None:
    response = client.get("/v1/books/anonymous")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_who_asks_too_often_is_told_when_to_come_back(client: httpx.Client) -> None:
    response = client.get("/v1/books/exhausted")
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")


def test_an_unknown_path_is_404(client: httpx.Client) -> None:
    for path in ("/", "/v1", "/v1/books/b/nothing", "/v2/books/b"):
        response = client.get(path)
        assert response.status_code == 404
        assert reason(response) == "METHOD_UNKNOWN"


@pytest.mark.parametrize("method", ["POST", "TRACE", "BREW"])
def test_another_method_is_405_with_those_that_there_are(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/v1/books/b")
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET, HEAD, LOCK, OPTIONS, PATCH, PUT"
    assert reason(response) == "METHOD_UNKNOWN"


def test_no_header_and_no_form_changes_the_method(client: httpx.Client) -> None:
    response = client.post("/v1/books/b", headers={"x-http-method-override": "DELETE"})
    assert response.status_code == 405
    form = client.post("/v1/books:search", data={"text": "x"})
    assert form.status_code == 405


def test_options_tells_the_methods(client: httpx.Client) -> None:
    response = client.options("/v1/books:search")
    assert (response.status_code, response.headers["allow"], response.content) == (204, "GET, HEAD, OPTIONS", b"")
    assert client.options("/nothing").status_code == 404


def test_a_deprecated_method_says_so(client: httpx.Client) -> None:
    assert client.request("LOCK", "/v1/books/b").headers["deprecation"] == "true"
    assert "deprecation" not in client.get("/v1/books/b").headers


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    with_body, without = client.get("/v1/books/b"), client.head("/v1/books/b")
    assert without.content == b""
    assert without.status_code == 200
    for name in ("content-length", "content-type", "etag"):
        assert without.headers[name] == with_body.headers[name]
    assert client.head("/v1/books/missing").status_code == 404


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=latin-1", None]
)
def test_a_body_in_another_form_is_415(client: httpx.Client, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    assert client.post("/v1/books", content=b"{}", headers=headers).status_code == 415


def test_a_compressed_body_is_415(client: httpx.Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/v1/books", content=gzip.compress(b"{}"), headers=headers).status_code == 415


def test_a_form_that_is_not_offered_is_406_before_anything_is_done(client: httpx.Client, service: Any) -> None:
    before = len(service.library.calls)
    response = client.post("/v1/books", json={}, headers={"accept": "text/html"})
    assert response.status_code == 406
    assert len(service.library.calls) == before


def test_a_body_over_the_limit_is_413_by_its_announced_length(gateway: Any) -> None:
    answer = gateway.raw(
        b"POST /v1/books HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 65537\r\n\r\n",
        ends=b"\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_over_the_limit_is_413_while_it_arrives(client: httpx.Client) -> None:
    def parts() -> Any:
        for _ in range(70):
            yield b" " * 1000

    response = client.post("/v1/books", content=parts(), headers={"content-type": "application/json"})
    assert response.status_code == 413


def test_a_body_of_the_limit_is_read(client: httpx.Client) -> None:
    body = b'{"title": "' + b"x" * (65536 - 13) + b'"}'
    assert len(body) == 65536
    response = client.post("/v1/books", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200


def test_a_method_that_needs_a_larger_body_says_so_and_the_setting_caps_it(client: httpx.Client) -> None:
    for size, status in ((65537, 200), (100000, 200), (100001, 413)):
        content = client.put("/v1/books/b/content", content=bytes(size), headers={"content-type": "image/png"})
        assert content.status_code == status


def test_a_long_url_is_414(client: httpx.Client) -> None:
    assert client.get("/v1/books:search?text=" + "x" * 8150).status_code == 200
    assert client.get("/v1/books:search?text=" + "x" * 8200).status_code == 414


@pytest.mark.parametrize("size", [17_000, 100_000, 500_000])
def test_large_headers_are_431(gateway: Any, size: int) -> None:
    answer = gateway.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * size + b"\r\n\r\n", ends=b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


def test_a_large_answer_is_compressed_as_the_caller_likes(gateway: Any) -> None:
    with gateway.client() as client:
        plain = client.get("/v1/books/large", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        for name, expand in (("gzip", gzip.decompress), ("br", brotli.decompress)):
            with client.stream("GET", "/v1/books/large", headers={"accept-encoding": name}) as response:
                raw = b"".join(response.iter_raw())
            assert response.headers["content-encoding"] == name
            assert "accept-encoding" in response.headers["vary"]
            assert int(response.headers["content-length"]) == len(raw) < len(plain.content)
            assert expand(raw) == plain.content


def test_a_small_answer_is_not_compressed(client: httpx.Client) -> None:
    response = client.get("/v1/books/b", headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in response.headers


def test_what_the_caller_has_already_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/v1/books/tagged")
    assert first.headers["etag"] == '"v1"'
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get("/v1/books/tagged", headers={"if-none-match": '"v0", "v1"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"v1"')
    changed = client.get("/v1/books/tagged", headers={"if-none-match": '"v0"'})
    assert changed.status_code == 200


def test_an_answer_without_an_etag_of_its_own_is_known_by_its_bytes(client: httpx.Client) -> None:
    tag = client.get("/v1/books/b").headers["etag"]
    assert client.get("/v1/books/b", headers={"if-none-match": tag}).status_code == 304
    assert client.get("/v1/books/c", headers={"if-none-match": tag}).status_code == 200


def test_a_change_can_depend_on_the_version(client: httpx.Client) -> None:
    assert client.patch("/v1/books/b", json={"title": "x"}, headers={"if-match": '"v1"'}).status_code == 200
    lost = client.patch("/v1/books/b", json={"title": "x"}, headers={"if-match": '"v0"'})
    assert (lost.status_code, reason(lost)) == (409, "CONCURRENT_CHANGE")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/books"), ("GET", "/v1/books/b"), ("DELETE", "/v1/books/b")])
def test_if_match_is_refused_where_nobody_looks_at_it(
    client: httpx.Client, service: Any, method: str, path: str
) -> None:
    before = len(service.library.calls)
    content = b"{}" if method == "POST" else None
    headers = {"if-match": '"v1"', "content-type": "application/json"}
    refused = client.request(method, path, content=content, headers=headers)
    assert (refused.status_code, reason(refused)) == (400, "INVALID_FIELD")
    assert "if-match" in refused.json()["error"]["message"]
    assert len(service.library.calls) == before


def test_a_method_has_the_deadline_that_it_declares(client: httpx.Client) -> None:
    left = float(client.request("LOCK", "/v1/books/metadata").json()["labels"]["deadline"])
    assert 7.0 < left <= 7.55  # gRPC rounds up


def test_a_download_comes_as_it_is_and_an_upload_goes_as_it_is(client: httpx.Client) -> None:
    download = client.get("/v1/books/b/content", headers={"accept": "application/pdf"})
    assert download.headers["content-type"] == "application/pdf"
    assert download.content.startswith(b"%PDF-")
    upload = client.put("/v1/books/b/content", content=b"\x00\xff", headers={"content-type": "image/png"})
    assert (upload.json()["title"], upload.json()["cover"]) == ("image/png", "AP8=")


def test_only_listed_headers_reach_a_service(client: httpx.Client) -> None:
    headers = {
        "authorization": "Bearer token",
        "accept-language": "pt",
        "idempotency-key": "k" * 20,
        "x-request-id": "mine-1",
        "x-user-id": "admin",
        "x-tenant": "other",
        "grpc-metadata-x-user-id": "admin",
        "x-forwarded-for": "10.9.8.7",
        "x-forwarded-by": "forged",
        "cookie": "a=b",
    }
    response = client.get("/v1/books/metadata", headers=headers)
    labels = response.json()["labels"]
    assert set(labels) == {
        "authorization",
        "accept-language",
        "idempotency-key",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-by",
        "traceparent",
        "user-agent",
        "deadline",
    }
    assert labels["x-forwarded-for"] == "127.0.0.1"
    assert labels["x-forwarded-by"].startswith("Bearer ")  # its own token: by it a service believes the address
    assert labels["x-request-id"] == response.headers["x-request-id"] == "mine-1"


def test_a_trusted_proxy_says_where_a_request_comes_from(gateway: Any) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with gateway.client(transport=transport) as proxy:
        headers = {"x-forwarded-for": "10.9.8.7, 8.8.8.8"}
        labels = proxy.get("/v1/books/metadata", headers=headers).json()["labels"]
        assert labels["x-forwarded-for"] == "8.8.8.8"
        assert proxy.get("/metrics", headers=headers).status_code == 404
        assert proxy.get("/debug/pprof/", headers=headers).status_code == 404


def test_metrics_are_not_shown_through_a_proxy_that_nobody_knows(client: httpx.Client) -> None:
    assert client.get("/metrics", headers={"x-forwarded-for": "10.9.8.7"}).status_code == 404


def test_profiles_are_served_to_the_machine_itself(client: httpx.Client) -> None:
    assert client.get("/debug/pprof/profile?seconds=0.05").content.startswith(b"\x1f\x8b")
    assert "worker.py" in client.get("/debug/pprof/goroutine?debug=1").text


def test_only_listed_metadata_reaches_the_caller(client: httpx.Client) -> None:
    headers = client.get("/v1/books/metadata").headers
    assert headers["idempotency-replayed"] == "true"
    assert headers["content-language"] == "pt"
    assert "x-secret" not in headers


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({}, 1.5, 2.0),
        ({"request-timeout": "60"}, 1.5, 2.0),
        ({"request-timeout": "0.9"}, 0.4, 0.9),
        ({"grpc-timeout": "900m"}, 0.4, 0.9),
    ],
)
def test_a_deadline_can_be_shortened_only(
    client: httpx.Client, headers: dict[str, str], least: float, most: float
) -> None:
    answers = [client.get("/v1/books/metadata", headers=headers) for _ in range(5)]
    left = [float(answer.json()["labels"]["deadline"]) for answer in answers if answer.is_success]
    assert least < max(left) <= most + 0.05  # gRPC rounds up; a busy machine takes some of it, but hardly every time


def test_a_trace_is_continued_or_begun(client: httpx.Client) -> None:
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    continued = client.get("/v1/books/metadata", headers={"traceparent": given})
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    assert continued.headers["x-trace-id"] == trace_id
    assert continued.headers["traceparent"].split("-")[1] == trace_id
    assert continued.headers["traceparent"] != given
    assert continued.json()["labels"]["traceparent"] == continued.headers["traceparent"]
    response = client.get("/v1/books/b", headers={"traceparent": "nonsense"})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-trace-id"])
    assert response.headers["x-request-id"] == response.headers["x-trace-id"]


@pytest.mark.parametrize(
    "path", ["/v1/books/b", "/v1/books/missing", "/nothing", "/v1/books/b:watch", "/livez", "/docs"]
)
def test_every_answer_carries_the_headers_of_security(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "max-age" in headers["strict-transport-security"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["server"] == "bazaruto"
    assert VERSION not in headers["server"]
    assert len(headers["x-trace-id"]) == 32
    assert headers["cache-control"]


def test_one_line_a_request_is_logged(client: httpx.Client, gateway: Any) -> None:
    trace_id = client.get("/v1/books/logged", headers={"user-agent": "a\tb"}).headers["x-trace-id"]
    deadline = time.monotonic() + 60
    while trace_id not in (text := gateway.log.read_text()):  # lines are written together, a moment later
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (line,) = [json.loads(line) for line in text.splitlines() if trace_id in line]
    assert (line["method"], line["path"], line["status"], line["message"]) == (
        "GET",
        "/v1/books/{book_id}",
        200,
        "request",
    )
    assert isinstance(line["response_time"], float)
    assert re.fullmatch("[0-9a-f]{16}", line["span_id"])


def test_requests_are_counted_by_template(client: httpx.Client) -> None:
    client.get("/v1/books/counted")
    client.get("/never/heard/of/it")
    metrics = client.get("/metrics").text
    assert 'http_requests_total{method="GET",path="/v1/books/{book_id}",status="200"}' in metrics
    assert 'http_requests_total{method="GET",path="unmatched",status="404"}' in metrics
    assert 'http_request_duration_seconds_bucket{le="0.075",method="GET",path="/v1/books/{book_id}"}' in metrics
    assert "never" not in metrics
    assert "counted" not in metrics


def test_the_document_and_the_page_are_served(client: httpx.Client) -> None:
    document = client.get("/openapi.json")
    assert document.json()["openapi"] == "3.1.0"
    assert client.get("/openapi.json", headers={"if-none-match": document.headers["etag"]}).status_code == 304
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "GetBook" in page.text
