"""A request as granian hands it over, for tests that need no server."""

from __future__ import annotations

from typing import Any

from gateway.http.exchange import Request


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
