"""A request as the gateway reads it and a response as it is sent: plain values, no rule of any route."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from gateway.http import problems
from gateway.http.problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Networks = tuple[IPv4Network | IPv6Network, ...]

MAX_URL = 8 << 10  # bytes
MAX_HEADERS = 16 << 10  # bytes, names and values together
BODY_SECONDS = 30.0  # for a whole body to arrive

# The headers that the gateway reads. What is not here is never looked at and never passed on.
_LISTS = frozenset({b"accept", b"accept-encoding", b"if-none-match", b"if-match", b"x-forwarded-for", b"tracestate"})
_SINGLE = frozenset(
    {
        b"authorization",
        b"idempotency-key",
        b"accept-language",
        b"x-request-id",
        b"traceparent",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"grpc-timeout",
        b"request-timeout",
    }
)
_KNOWN = {name: name.decode() for name in _LISTS | _SINGLE}
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Request:
    """One HTTP request, before anything of it is believed."""

    __slots__ = ("headers", "is_http1", "method", "path", "peer", "query", "raw", "scheme", "url_size", "wrong")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.is_http1 = scope["http_version"] != "2"
        raw_path: bytes = scope["raw_path"]
        raw_query: bytes = scope["query_string"]
        self.path = raw_path.decode("latin-1")
        self.query = raw_query.decode("latin-1")
        self.url_size = len(raw_path) + len(raw_query)
        self.scheme: str = scope["scheme"]
        self.peer: str = scope["client"][0] if scope.get("client") else ""
        self.raw: Headers = scope["headers"]
        self.headers: dict[str, str] = {}
        self.wrong: Problem | None = None
        self._read(self.raw)

    def _read(self, raw: Headers) -> None:
        headers, size = self.headers, 0
        for name, value in raw:
            size += len(name) + len(value)
            key = _KNOWN.get(name)
            if key is None:
                continue
            text = value.decode("latin-1")
            if key in headers:
                if name in _SINGLE:
                    self.wrong = problems.invalid([(key, "is given more than once")])
                    continue
                text = f"{headers[key]},{text}"
            headers[key] = text
        if size > MAX_HEADERS:
            self.wrong = problems.headers_too_large(MAX_HEADERS)
        elif self.url_size > MAX_URL:
            self.wrong = problems.uri_too_long(MAX_URL)

    def get(self, name: str) -> str:
        """A header's value; empty when it is not there."""
        return self.headers.get(name, "")

    def visible(self, name: str) -> str:
        """A header that is passed on, so that it must be visible ASCII."""
        value = self.headers.get(name, "")
        if not _VISIBLE.fullmatch(value):
            raise problems.invalid([(name, "has characters that a header cannot have")])
        return value

    def request_id(self, otherwise: str) -> str:
        """The caller's `x-request-id`, if it is one that can be echoed."""
        given = self.headers.get("x-request-id", "")
        return given if given and _REQUEST_ID.fullmatch(given) else otherwise

    def client_address(self, proxies: Networks) -> str:
        """The address of the sender: the nearest that is no trusted proxy. `X-Forwarded-For` counts behind one."""
        if not proxies or not _within(self.peer, proxies):
            return self.peer
        hops = [hop.strip() for hop in self.get("x-forwarded-for").split(",") if hop.strip()]
        for hop in reversed(hops):
            if not _within(hop, proxies):
                return hop if _is_address(hop) else self.peer
        return hops[0] if hops and _is_address(hops[0]) else self.peer


async def read_body(request: Request, receive: Receive, limit: int) -> bytes:
    """The whole body. Refused before it is read when its length is known, and while it is read otherwise."""
    length = request.get("content-length")
    if length.isdigit() and int(length) > limit:
        raise problems.too_large(limit)
    if length == "0":
        return b""
    if request.is_http1 and not length and not request.get("transfer-encoding"):
        return b""  # HTTP/2 knows neither: there a body may come without being announced
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":  # cut off, or malformed in a way that ends the connection
                    raise problems.body_cut_off()
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise problems.too_large(limit)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise problems.body_too_slow() from None


def networks(texts: Iterable[str]) -> Networks:
    """Networks as the configuration writes them. `ValueError` names a wrong one."""
    return tuple(ip_network(text) for text in texts)


class ClientGone(Exception):
    """The caller went away; there is nobody to answer."""


NO_STORE = (b"cache-control", b"no-store")


class Response:
    """A whole answer."""

    __slots__ = ("body", "content_type", "etag", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Headers | None = None,
        etag: str = "",
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or []
        self.etag = etag


Page = Callable[[Request], Awaitable[Response]]


async def send_response(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer in one piece."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _within(address: str, networks: Networks) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
