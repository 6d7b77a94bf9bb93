"""Reading a body within its limits."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.http import exchange
from gateway.http.exchange import Request, read_body
from gateway.http.problems import Problem


def read(*parts: Any, limit: int = 10, length: str = "", version: str = "1.1", chunked: bool = True) -> bytes:
    """Read a body that arrives in parts; a part that is None never comes, and one that is False breaks it off."""
    headers = [(b"content-length", length.encode())] if length else []
    if chunked and not length and version != "2":
        headers = [(b"transfer-encoding", b"chunked")]
    scope: dict[str, Any] = {
        "method": "POST",
        "raw_path": b"/",
        "query_string": b"",
        "scheme": "http",
        "http_version": version,
        "client": None,
        "headers": headers,
    }
    coming = list(parts)

    async def receive() -> MutableMapping[str, Any]:
        part = coming.pop(0)
        if part is None:
            await asyncio.sleep(60)
        if part is False:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(coming)}

    return asyncio.run(read_body(Request(scope), receive, limit))


def status(*parts: Any, **options: Any) -> int:
    with pytest.raises(Problem) as caught:
        read(*parts, **options)
    return caught.value.status


def test_a_body_in_parts_is_put_together() -> None:
    assert read(b"12345", b"67890") == b"1234567890"


def test_a_body_over_the_limit_is_not_read() -> None:
    assert status(length="11") == 413


def test_a_body_without_a_length_is_counted() -> None:
    assert status(b"12345", b"67890", b"1") == 413


def test_no_body_is_not_waited_for() -> None:
    assert read(None, length="0") == b""


def test_unannounced_body_is_read_over_http2_and_not_waited_for_over_http1() -> None:
    assert read(b"12345", b"67890", version="2") == b"1234567890"
    assert read(b"", version="2") == b""
    assert status(b"12345", b"67890", b"1", version="2") == 413
    assert read(None, chunked=False) == b""


def test_a_body_that_does_not_arrive_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.01)
    assert status(b"1", None) == 408


def test_a_body_that_is_cut_off_is_malformed() -> None:
    assert status(b"1", False) == 400
