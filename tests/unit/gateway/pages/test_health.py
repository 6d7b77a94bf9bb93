"""Anybody may ask for health as often as they like: the services are asked once for all of them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2

from gateway.pages.health import Health
from libs.identity.service_tokens import ServiceTokens
from tests.support.people import People


class Checks:
    """A service's health, which is told when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    async def Check(self, _request: Any, timeout: float) -> health_pb2.HealthCheckResponse:
        self.asked += 1
        await self.go_on.wait()
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def test_those_who_ask_for_readiness_at_the_same_time_share_one_round(people: People) -> None:
    async def run() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            health = Health({"users": channel}, ServiceTokens(people.auth, "gateway"))
            checks = Checks()
            health._checks = {"users": checks}
            asking = [asyncio.ensure_future(health.ready()) for _ in range(20)]
            await asyncio.sleep(0)
            asking[0].cancel()
            checks.go_on.set()
            answers = await asyncio.gather(*asking[1:])
            assert {answer["status"] for answer in answers} == {"healthy"}
            assert checks.asked == 1
            health.stopping = True
            assert (await health.ready())["status"] == "unhealthy"
            assert checks.asked == 2

    asyncio.run(run())
