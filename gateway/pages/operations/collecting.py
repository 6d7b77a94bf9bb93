"""The figures of `/ops/data`: every process is asked at the same time, and none is waited for longer than two seconds.

Those who look at the same time share one round of questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio

from bazaruto.operations.v1 import operations_pb2 as pb
from bazaruto.operations.v1 import operations_pb2_grpc as rpc_pb
from gateway.pages.health import Health
from gateway.pages.operations import processes, traces, traffic
from gateway.pages.operations.alerts import Alerts
from gateway.pages.operations.workers import Workers
from libs import clock
from libs.config import Settings
from libs.identity.service_tokens import ServiceTokens
from libs.telemetry import metrics, recent_page
from libs.version import VERSION

_RPC_SECONDS = 1.8
_TOTAL_SECONDS = 2.0
_MOST_ERRORS = 50
_LATEST_SPANS = 500  # of the gateway itself, in which the traces to show are looked for
OWN_PATHS = frozenset(
    "/livez /readyz /healthz /healthz/detailed /version /metrics /openapi.json /docs /ops /ops/data unmatched"
    " /debug/pprof/ /debug/pprof/profile /debug/pprof/heap /debug/pprof/goroutine".split()
)


class Collector:
    """Asks everybody."""

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, grpc.aio.Channel],
        tokens: ServiceTokens,
        health: Health,
        alerts: Alerts,
    ) -> None:
        self._services = {name: rpc_pb.OperationsServiceStub(channel) for name, channel in channels.items()}
        self._workers = Workers({name: own.worker_metrics for name, own in settings.services.items()}, tokens)
        self._stalled_after = settings.jobs.stalled_after.total_seconds()
        self._has_redis = bool(settings.redis.url)
        self._tokens = tokens
        self._health = health
        self._alerts = alerts
        self._started = clock.real_now()
        self._running: asyncio.Task[dict[str, Any]] | None = None

    async def collect(self) -> dict[str, Any]:
        """The whole document."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._collect())
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Let go of connections."""
        await self._workers.close()

    async def _collect(self) -> dict[str, Any]:
        own, families = await asyncio.gather(
            asyncio.to_thread(recent_page.of_all_copies, self._tokens, (), _LATEST_SPANS),
            asyncio.to_thread(lambda: list(metrics.registry().collect())),
        )
        trace_ids = traces.choose(own["spans"], OWN_PATHS)
        reports, remembered, redis, alerts = await asyncio.gather(
            asyncio.gather(*(self._ask(name, trace_ids) for name in self._services)),
            self._workers.ask(trace_ids),
            self._health.ping_redis(),
            self._alerts.read(),
        )
        services = dict(zip(self._services, reports, strict=True))
        merged = merge(own, services, remembered)
        listed = [processes.gateway(self._started, stopping=self._health.stopping)]
        for name, report in services.items():
            listed.append(processes.service(name, report))
            listed.append(processes.worker(name, report, remembered[name], self._stalled_after))
        if self._has_redis:
            listed.append(processes.redis(redis))
        return {
            "now": clock.real_now().isoformat(timespec="milliseconds"),
            "version": VERSION,
            "processes": listed,
            "requests": traffic.count(families, OWN_PATHS - {"unmatched"}),
            "queues": [queue for name, report in services.items() for queue in processes.queues(name, report)],
            "alerts": alerts,
            "errors": merged["errors"],
            "traces": traces.waterfalls(trace_ids, merged["spans"]),
        }

    async def _ask(self, name: str, trace_ids: list[str]) -> pb.ServiceReport | str:
        """A service's report, or why there is none."""
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                report: pb.ServiceReport = await self._services[name].GetServiceReport(
                    pb.GetServiceReportRequest(trace_ids=trace_ids),
                    timeout=_RPC_SECONDS,
                    metadata=(("authorization", self._tokens.header()),),
                )
                return report
        except grpc.aio.AioRpcError as error:
            return error.code().name
        except TimeoutError:
            return grpc.StatusCode.DEADLINE_EXCEEDED.name
        except ValueError:
            return "NO_SECRET"


def merge(
    own: Mapping[str, list[dict[str, Any]]],
    services: Mapping[str, pb.ServiceReport | str],
    workers: Mapping[str, Mapping[str, list[dict[str, Any]]] | str],
) -> dict[str, list[dict[str, Any]]]:
    """The spans of all, and the last errors of all, latest first."""
    errors, spans = list(own["errors"]), list(own["spans"])
    for report in services.values():
        if not isinstance(report, str):
            errors += [processes.as_dict(line) for line in report.errors]
            spans += [processes.as_dict(span) for span in report.spans]
    for memory in workers.values():
        if not isinstance(memory, str):
            errors += memory["errors"]
            spans += memory["spans"]
    errors.sort(key=lambda line: line["timestamp"], reverse=True)
    return {"errors": errors[:_MOST_ERRORS], "spans": spans}
