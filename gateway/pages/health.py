"""The edge of health: whether this process lives, is ready, and how the platform behind it is doing.

Nothing here waits longer than two seconds: a dependency that hangs is a dependency that is unhealthy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

import grpc.aio
import redis.asyncio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.exceptions import RedisError

from bazaruto.operations.v1 import health_pb2 as pb
from bazaruto.operations.v1 import health_pb2_grpc as rpc_pb
from libs import clock
from libs.identity.service_tokens import ServiceTokens
from libs.version import VERSION

_RPC_SECONDS = 1.8
_TOTAL_SECONDS = 2.0
_REDIS_SECONDS = 0.25

log = structlog.get_logger("gateway.health")

Found = TypeVar("Found")


class _Shared(Generic[Found]):
    """A round of questions. Those who ask while one runs share it: anybody may ask, as often as they like."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Found]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[Found] | None = None

    async def __call__(self) -> Found:
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._running)


class Health:
    """Asks the services, and Redis where there is one."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], tokens: ServiceTokens, redis_url: str = "") -> None:
        self._details = {name: rpc_pb.HealthDetailServiceStub(channel) for name, channel in channels.items()}
        self._checks = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}
        self._tokens = tokens
        self._redis = (
            redis.asyncio.from_url(redis_url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
            if redis_url
            else None
        )
        self._answering = _Shared(self._ask_whether_serving)
        self._reporting = _Shared(self._report)
        self.stopping = False

    async def ready(self) -> dict[str, Any]:
        """Which services can be called. Ready means all of them, and that this process is not going away."""
        serving = await self._answering()
        ready = all(serving.values()) and not self.stopping
        services = {name: _word(is_up) for name, is_up in serving.items()}
        return {"status": _word(ready), "version": VERSION, "services": services}

    async def report(self) -> dict[str, Any]:
        """The health document of the operations guide."""
        return await self._reporting()

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _report(self) -> dict[str, Any]:
        details, redis_check = await asyncio.gather(
            asyncio.gather(*map(self._detail, self._details)), self.ping_redis()
        )
        known = [detail for detail in details if detail is not None]
        all_known = len(known) == len(details)
        slowest = max((detail.database_response_time.ToTimedelta() for detail in known), default=None)
        database = {"status": _word(all_known and all(detail.healthy for detail in known))}
        if slowest is not None:
            database["response_time"] = _milliseconds(slowest.total_seconds())
        checks: dict[str, dict[str, Any]] = {
            "database": database,
            "redis": redis_check,
            "jobs": {
                "status": _word(all_known and all(detail.healthy for detail in known)),
                "pending_jobs": sum(detail.pending_jobs for detail in known),
                "failed_jobs": sum(detail.failed_jobs for detail in known),
            },
        }
        return {
            "status": _word(all(check["status"] == "healthy" for check in checks.values())),
            "timestamp": f"{clock.real_now():%Y-%m-%dT%H:%M:%SZ}",
            "version": VERSION,
            "checks": checks,
        }

    async def _detail(self, name: str) -> pb.HealthDetail | None:
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                detail: pb.HealthDetail = await self._details[name].GetHealthDetail(
                    pb.GetHealthDetailRequest(),
                    timeout=_RPC_SECONDS,
                    metadata=(("authorization", self._tokens.header()),),
                )
                return detail
        except (grpc.RpcError, TimeoutError, ValueError) as error:
            log.warning("health check failed", target=name, error=_reason(error))
            return None

    async def _ask_whether_serving(self) -> dict[str, bool]:
        names = list(self._checks)
        return dict(zip(names, await asyncio.gather(*map(self._serving, names)), strict=True))

    async def _serving(self, name: str) -> bool:
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                answer = await self._checks[name].Check(health_pb2.HealthCheckRequest(), timeout=_RPC_SECONDS)
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        except (grpc.RpcError, TimeoutError):
            return False

    async def ping_redis(self) -> dict[str, Any]:
        """Whether Redis answers. Without one, nothing is missing."""
        if self._redis is None:
            return {"status": "healthy", "response_time": "0ms"}
        started = time.perf_counter()
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("health check failed", target="redis", error=_reason(error))
            return {"status": "unhealthy", "response_time": _milliseconds(time.perf_counter() - started)}
        return {"status": "healthy", "response_time": _milliseconds(time.perf_counter() - started)}


def _word(is_healthy: bool) -> str:
    return "healthy" if is_healthy else "unhealthy"


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _reason(error: BaseException) -> str:
    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
