"""Bytes as they come: malformed requests, smuggled ones, and HTTP/2 by its frames."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "raw_request",
    [
        b"NONSENSE\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /v1/books/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/books/%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/books/\xff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/books:search?text=\xff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/books/b HTTP/1.1\r\nHost: a\r\nAuthorization: \xff\r\nConnection: close\r\n\r\n",
        b"GET /v1/books/b HTTP/1.1\r\nHost: a\r\nContent-Length: nine\r\n\r\n",
        b"POST /v1/books HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/books HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/books HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gibberish\r\n\r\n{}",
        b"GET /v1/books/b HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff",
    ],
)
def test_malformed_http_is_never_an_error_of_the_gateway(gateway: Any, raw_request: bytes) -> None:
    answer = gateway.raw(raw_request, wait=1)
    assert not answer.startswith(b"HTTP/1.1 5")
    with gateway.client() as client:
        assert client.get("/livez").status_code == 200


def test_a_request_cannot_be_smuggled_in_a_body(gateway: Any) -> None:
    answer = gateway.raw(
        b"POST /v1/books HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/books/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        wait=1,
    )
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"smuggled" not in answer


def test_http2_is_spoken_too(gateway: Any) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    assert gateway.raw(preface, ends=b"\x04")[3:4] == b"\x04"  # the server's SETTINGS frame


def test_body_without_a_length_is_read_over_http2(gateway: Any) -> None:
    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def header(name: bytes, value: bytes) -> bytes:  # a literal of HPACK that nobody needs to remember
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    sent = {b":method": b"POST", b":scheme": b"http", b":path": b"/v1/books", b":authority": b"a"}
    head = b"".join(header(*each) for each in (sent | {b"content-type": b"application/json"}).items())
    settings, headers, data, end = b"\x04", b"\x01", b"\x00", 0x1
    answer = gateway.raw(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(settings[0], 0, 0, b"")
        + frame(headers[0], 0x4, 1, head)
        + frame(data[0], end, 1, b'{"title": "Ulysses"}'),
        ends=b'"title":"Ulysses"',
    )
    assert b'"title":"Ulysses"' in answer
