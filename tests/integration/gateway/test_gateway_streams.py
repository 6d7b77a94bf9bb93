"""Streams over HTTP: both forms, errors early and late, and callers who go away."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support.waiting import until


def test_a_stream_is_one_object_a_line(client: httpx.Client) -> None:
    response = client.get("/v1/books/b:watch")
    assert response.headers["content-type"] == "application/x-ndjson"
    lines = response.text.splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["first", "second"]
    assert response.text.endswith("\n")


def test_a_stream_is_events_for_who_accepts_them(client: httpx.Client) -> None:
    response = client.get("/v1/books/b:watch", headers={"accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream"
    events = response.text.removesuffix("\n\n").split("\n\n")
    assert [json.loads(event.removeprefix("data: "))["title"] for event in events] == ["first", "second"]


def test_a_stream_in_another_form_is_406(client: httpx.Client) -> None:
    assert client.get("/v1/books/b:watch", headers={"accept": "application/json"}).status_code == 406


def test_a_stream_that_fails_at_once_is_an_ordinary_error(client: httpx.Client) -> None:
    response = client.get("/v1/books/missing:watch")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["details"][0]["reason"] == "MISSING"


@pytest.mark.parametrize(
    ("accept", "last"), [("*/*", '{"error":'), ("text/event-stream", 'event: error\ndata: {"error":')]
)
def test_a_stream_that_fails_later_ends_with_the_error(client: httpx.Client, accept: str, last: str) -> None:
    response = client.get("/v1/books/breaks:watch", headers={"accept": accept})
    assert response.status_code == 200
    assert response.text.count("second") == 1
    assert last in response.text
    assert response.headers["x-trace-id"] in response.text


def test_a_message_that_cannot_be_written_ends_a_stream_with_an_error(client: httpx.Client) -> None:
    first, last = client.get("/v1/books/unreadable:watch").text.splitlines()
    assert "first" in first
    assert json.loads(last)["error"]["status"] == "INTERNAL"


@contextmanager
def cancelled(service: Any) -> Iterator[None]:
    """A call that the service sees cancelled. It is waited for: the next test must not take it for its own."""
    service.library.cancelled.clear()
    yield
    assert service.library.cancelled.wait(60), "the call went on"


def test_the_head_of_a_stream_is_known_without_its_messages(client: httpx.Client, service: Any) -> None:
    with cancelled(service):
        response = client.head("/v1/books/endless:watch")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    assert client.head("/v1/books/missing:watch").status_code == 404


def test_a_download_in_pieces_is_the_pieces(client: httpx.Client) -> None:
    response = client.get("/v1/books/b/pieces")
    assert (response.headers["content-type"], response.content) == ("text/plain", b"one two")


def test_the_first_message_arrives_before_the_stream_ends(client: httpx.Client, service: Any) -> None:
    service.library.cancelled.clear()
    with client.stream("GET", "/v1/books/endless:watch") as response:
        first = next(response.iter_lines())
        assert json.loads(first)["title"] == "first"
    assert service.library.cancelled.wait(60), "the call went on after its caller had gone"


def test_a_deadline_ends_a_stream_with_an_error(client: httpx.Client, service: Any) -> None:
    with cancelled(service):
        response = client.get("/v1/books/endless:watch", headers={"request-timeout": "1.5"})
    assert response.status_code == 200
    assert json.loads(response.text.splitlines()[-1])["error"]["status"] == "DEADLINE_EXCEEDED"


def test_a_call_ends_when_its_caller_goes_away(gateway: Any, service: Any) -> None:
    service.library.cancelled.clear()
    before = len(service.library.calls)
    with socket.create_connection((gateway.host, gateway.port)) as connection:
        connection.sendall(b"LOCK /v1/books/slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: len(service.library.calls) > before)
        assert not service.library.cancelled.is_set()
    assert service.library.cancelled.wait(5), "the call went on until its deadline, which is 7.5 s"


def test_a_slow_call_ends_at_its_deadline(client: httpx.Client, service: Any) -> None:
    with cancelled(service):
        response = client.get("/v1/books/slow", headers={"request-timeout": "1"})
    assert response.status_code == 504
    assert response.json()["error"]["details"][0]["reason"] == "DEADLINE_TOO_SHORT"
