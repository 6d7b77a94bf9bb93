"""The load generator, a process of its own whose CPU time is in no figure: `python -m tests.performance.generator`.

It reads one order a line, as JSON, and answers each with a line that says what came of it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from tests.performance import buying
from tests.performance.http1 import TIMEOUT, Answer, Pool, Request, connect

_POOL = 64  # connections of callers who do not wait for each other
_SHOWN = 300  # characters of an answer that was no success


@dataclass
class Outcome:
    """What became of the requests of an order."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.perf_counter)

    def note(self, answer: Answer, asked: float) -> None:
        """Count an answer; `asked` is the moment of its request."""
        if answer.status < 300:
            self.seconds.append(time.perf_counter() - asked)
        else:
            self.failures[f"{answer.status} {answer.body.decode(errors='replace')[:_SHOWN]}"] += 1

    def report(self) -> dict[str, Any]:
        """What the driver is told; latencies in milliseconds."""
        return {
            "requests": len(self.seconds),
            "seconds": time.perf_counter() - self.started,
            "p50": percentile(self.seconds, 0.50) * 1000,
            "p99": percentile(self.seconds, 0.99) * 1000,
            "failures": dict(self.failures),
        }


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies; 0 when there are none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


async def closed_loop(order: dict[str, Any]) -> Outcome:
    """Callers who ask again as soon as they are answered, each on its connection, for some seconds."""
    requests = itertools.cycle(_requests(order["requests"]))
    connections = [await connect(order["address"]) for _ in range(order["callers"])]
    outcome = Outcome()
    end = outcome.started + order["seconds"]

    async def call(connection: Any) -> None:
        while (asked := time.perf_counter()) < end:
            outcome.note(await connection.ask(next(requests)), asked)

    await asyncio.gather(*map(call, connections))
    for connection in connections:
        connection.close()
    return outcome


async def once(order: dict[str, Any]) -> Outcome:
    """Callers who ask for each of the requests one time, each as soon as it is answered."""
    left = iter(_requests(order["requests"]))
    connections = [await connect(order["address"]) for _ in range(order["callers"])]
    outcome = Outcome()

    async def call(connection: Any) -> None:
        for request in left:
            asked = time.perf_counter()
            outcome.note(await connection.ask(request), asked)

    await asyncio.gather(*map(call, connections))
    for connection in connections:
        connection.close()
    return outcome


async def open_loop(order: dict[str, Any]) -> Outcome:
    """Callers who come at a fixed rate, whether or not those before them were answered; what fails is counted."""
    requests = itertools.cycle(_requests(order["requests"]))
    pool = Pool(order["address"], _POOL)
    outcome = Outcome()
    under_way: set[asyncio.Task[None]] = set()

    async def call(request: Request) -> None:
        asked = time.perf_counter()
        try:
            outcome.note(await pool.ask(request), asked)
        except OSError as error:
            outcome.failures[repr(error)] += 1

    for number in range(max(1, round(order["rate"] * order["seconds"]))):
        wait = outcome.started + number / order["rate"] - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(call(next(requests)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    pool.close()
    return outcome


async def grpc_loop(order: dict[str, Any]) -> Outcome:
    """As `closed_loop`, over gRPC: unary calls on one connection, as many under way as there are callers."""
    calls = itertools.cycle([(base64.b64decode(call["request"]), call["token"]) for call in _load(order["requests"])])
    async with grpc.aio.insecure_channel(order["address"]) as channel:
        method: Callable[..., Awaitable[bytes]] = channel.unary_unary(order["method"])
        outcome = Outcome()
        end = outcome.started + order["seconds"]

        async def call() -> None:
            while (asked := time.perf_counter()) < end:
                message, token = next(calls)
                reply = await method(message, metadata=(("authorization", f"Bearer {token}"),), timeout=TIMEOUT)
                outcome.note(Answer(200, reply), asked)

        await asyncio.gather(*(call() for _ in range(order["callers"])))
    return outcome


async def purchases(order: dict[str, Any]) -> Outcome:
    """Customers who buy one policy after another, each waiting until it is in force."""
    outcome = Outcome()
    how = {key: order[key] for key in ("names_objects", "by_invoice")}
    buyers = [buying.Buyer(await connect(order["address"]), token, **how) for token in order["tokens"]]

    async def buy(buyer: buying.Buyer) -> None:
        for _ in range(order["each"]):
            outcome.seconds.append(await buyer.buy())

    await asyncio.gather(*map(buy, buyers))
    return outcome


ORDERS: dict[str, Callable[[dict[str, Any]], Awaitable[Outcome]]] = {
    "closed": closed_loop,
    "once": once,
    "open": open_loop,
    "grpc": grpc_loop,
    "purchases": purchases,
}


def _load(file: str) -> list[dict[str, Any]]:
    descriptions: list[dict[str, Any]] = json.loads(Path(file).read_text())
    return descriptions


def _requests(file: str) -> list[Request]:
    return [Request.of(description) for description in _load(file)]


def main() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        try:
            report = uvloop.run(_carry_out(order))
        except (OSError, ValueError, KeyError, grpc.RpcError) as error:
            report = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(report), flush=True)


async def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    return (await ORDERS[order["kind"]](order)).report()


if __name__ == "__main__":
    main()
