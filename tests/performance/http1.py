"""HTTP/1.1 as far as a load generator needs it: keep-alive connections that ask one thing at a time.

A tenth of the work of a general client, so that the generator is not what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

TIMEOUT = 30.0  # seconds for one answer; only a run that fails waits so long
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Request(NamedTuple):
    """A request ready to be sent. With `keyed`, each sending gets an idempotency key of its own."""

    head: bytes
    body: bytes
    keyed: bool

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Request:
        """The request of `method`, `path`, and where there are any `token`, `body` and `keyed`."""
        body = json.dumps(description["body"]).encode() if "body" in description else b""
        lines = [f"{description['method']} {description['path']} HTTP/1.1", "host: 127.0.0.1"]
        if description.get("token"):
            lines.append(f"authorization: Bearer {description['token']}")
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        return cls("\r\n".join(lines).encode(), body, bool(description.get("keyed")))

    def encode(self) -> bytes:
        """The bytes to send."""
        key = f"\r\nidempotency-key: {secrets.token_hex(16)}".encode() if self.keyed else b""
        return self.head + key + b"\r\n\r\n" + self.body


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._received = bytearray()

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer. `OSError` when there is none."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request.encode())
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        head = bytes(self._received[: end + 2])
        length = _LENGTH.search(head)
        if length is None:
            self._waiting.set_exception(OSError(f"an answer without content-length: {head[:200]!r}"))
            return
        whole = end + 4 + int(length[1])
        if len(self._received) >= whole:
            body = bytes(self._received[end + 4 : whole])
            del self._received[:whole]
            self._waiting.set_result(Answer(int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError(f"the server hung up: {exc or 'in the middle'}"))


class Pool:
    """Connections to one address, at most so many; whoever finds none free waits for one."""

    def __init__(self, address: str, size: int) -> None:
        self._address = address
        self._free: list[Connection] = []
        self._places = asyncio.Semaphore(size)

    async def ask(self, request: Request) -> Answer:
        """Send a request over a free connection, or a new one, and take no second try. `OSError` without an answer."""
        async with self._places, asyncio.timeout(TIMEOUT):
            self._free = [connection for connection in self._free if connection.is_open]
            connection = self._free.pop() if self._free else await connect(self._address)
            try:
                answer = await connection.ask(request)
            except BaseException:
                connection.close()
                raise
            self._free.append(connection)
            return answer

    def close(self) -> None:
        """Hang up."""
        for connection in self._free:
            connection.close()


async def connect(address: str) -> Connection:
    """A connection to HOST:PORT."""
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    return connection
