"""The load generator: what it sends, what it takes for an answer, and how it counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from tests.performance import generator
from tests.performance.http1 import Answer, Connection, Pool, Request, connect

READ = {"method": "GET", "path": "/v1/policies/pol_1", "token": "secret"}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: str = "200 OK", body: bytes = b"{}") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request, a few bytes at a time."""
    while await reader.readuntil(b"\r\n\r\n"):
        whole = answer(body=b'{"policyId": "pol_1"}')
        for start in range(0, len(whole), 7):
            writer.write(whole[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)


async def one_of_four_fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number = 0
    while await reader.readuntil(b"\r\n\r\n"):
        number += 1
        writer.write(answer("503 Service Unavailable", b"busy") if number % 4 == 0 else answer())


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    writer.close()


def run_against(serve: Serve, use: Callable[[str], Awaitable[Any]]) -> Any:
    """What `use` makes of a server's address."""

    async def both() -> Any:
        served: set[asyncio.Task[None]] = set()

        async def until_the_caller_hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.add(cast("asyncio.Task[None]", asyncio.current_task()))
            with suppress(asyncio.IncompleteReadError):
                await serve(reader, writer)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(until_the_caller_hangs_up, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            outcome = await use(f"{host}:{port}")
        await asyncio.wait_for(asyncio.gather(*served), 10)
        return outcome

    return asyncio.run(both())


def test_request_is_sent_with_its_token_and_body() -> None:
    request = Request.of(READ | {"method": "POST", "body": {"a": 1}})
    head, _, body = request.encode().partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /v1/policies/pol_1 HTTP/1.1",
        b"host: 127.0.0.1",
        b"authorization: Bearer secret",
        b"content-type: application/json",
        b"content-length: 8",
    ]
    assert json.loads(body) == {"a": 1}


def test_every_sending_has_a_key_of_its_own() -> None:
    request = Request.of(READ | {"keyed": True})
    first, second = request.encode(), request.encode()
    assert b"\r\nidempotency-key: " in first
    assert first != second
    assert b"idempotency-key" not in Request.of(READ).encode()


def test_answer_that_comes_in_pieces_is_put_together() -> None:
    async def ask_twice(address: str) -> list[Answer]:
        connection = await connect(address)
        answers = [await connection.ask(Request.of(READ)) for _ in range(2)]
        connection.close()
        return answers

    assert run_against(in_pieces, ask_twice) == [Answer(200, b'{"policyId": "pol_1"}')] * 2


def test_server_that_hangs_up_in_the_middle_is_an_error() -> None:
    async def ask(address: str) -> None:
        connection: Connection = await connect(address)
        with pytest.raises(OSError, match="hung up"):
            await connection.ask(Request.of(READ))
        assert not connection.is_open

    run_against(hangs_up, ask)


def test_pool_never_has_more_requests_under_way_than_places() -> None:
    under_way = most = 0

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        while await reader.readuntil(b"\r\n\r\n"):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.005)
            under_way -= 1
            writer.write(answer())

    async def ask(address: str) -> list[Answer]:
        pool = Pool(address, 3)
        answers = await asyncio.gather(*(pool.ask(Request.of(READ)) for _ in range(10)))
        pool.close()
        return answers

    assert run_against(slowly, ask) == [Answer(200, b"{}")] * 10
    assert most == 3


def _order(tmp_path: Path, address: str, **more: object) -> dict[str, Any]:
    file = tmp_path / "requests.json"
    file.write_text(json.dumps([READ]))
    return {"address": address, "requests": str(file), **more}


def test_callers_who_come_at_a_rate_are_as_many_as_the_rate_says_and_failures_are_counted(tmp_path: Path) -> None:
    async def load(address: str) -> dict[str, Any]:
        return (await generator.open_loop(_order(tmp_path, address, rate=200, seconds=0.2))).report()

    report = run_against(one_of_four_fails, load)
    assert report["requests"] + sum(report["failures"].values()) == 40
    assert report["failures"]["503 busy"] > 0
    assert report["seconds"] >= 0.19


def test_callers_who_ask_again_at_once_are_all_answered(tmp_path: Path) -> None:
    async def load(address: str) -> dict[str, Any]:
        return (await generator.closed_loop(_order(tmp_path, address, callers=3, seconds=0.1))).report()

    report = run_against(in_pieces, load)
    assert report["failures"] == {}
    assert report["requests"] >= 3
    assert 0 < report["p50"] <= report["p99"]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100)])
def test_percentile_is_the_value_below_which_the_share_lies(share: float, value: float) -> None:
    assert generator.percentile([float(n) for n in range(100, 0, -1)], share) == value
    assert generator.percentile([], share) == 0
