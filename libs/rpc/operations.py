"""How a service is doing, for `/ops`: the same answer for every service, made of what its process and database know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

import grpc
from psycopg import Connection

from bazaruto.operations.v1 import operations_pb2 as pb
from bazaruto.operations.v1 import operations_pb2_grpc as rpc_pb
from libs import clock
from libs.db import Database
from libs.errors import DomainError
from libs.identity.service_tokens import ServiceTokens
from libs.jobs import operating
from libs.rpc import values
from libs.rpc.health import PATIENCE
from libs.rpc.shared import SharedLook
from libs.telemetry import recent_page
from libs.version import VERSION

_Found = tuple[float, list[operating.Depth], list[operating.WorkerRow]]


class OperationsServicer(rpc_pb.OperationsServiceServicer):
    """Reports on a process when it is asked; a database that does not answer hides its own part only."""

    def __init__(self, service: str, database: Database, tokens: ServiceTokens) -> None:
        self._service = service
        self._database = database
        self._tokens = tokens
        self._started = clock.real_now()
        self._look = SharedLook(self._look_at_database, "operations")

    def stop(self) -> None:
        """Look at the database no more."""
        self._look.stop()

    def GetServiceReport(self, request: pb.GetServiceReportRequest, context: grpc.ServicerContext) -> pb.ServiceReport:
        report = pb.ServiceReport(
            service=self._service,
            version=VERSION,
            start_time=values.time_to_proto(self._started),
            pool=self._pool(),
        )
        try:
            seconds, depths, workers = self._look.run(PATIENCE)
        except DomainError as error:
            report.database_error = error.message
        else:
            report.database_response_time.FromTimedelta(timedelta(seconds=seconds))
            report.queues.extend(map(_queue_to_proto, depths))
            report.workers.extend(map(_worker_to_proto, workers))
        recent = recent_page.of_all_copies(self._tokens, request.trace_ids)
        report.errors.extend(pb.ErrorLine(**line) for line in recent["errors"])
        report.spans.extend(pb.Span(**span) for span in recent["spans"])
        return report

    def _look_at_database(self) -> _Found:
        seconds = self._database.ping()
        with self._database.reading(fresh=True) as session:
            connection = cast("Connection", session.connection().connection.driver_connection)
            return seconds, operating.depths(connection), operating.workers(connection)

    def _pool(self) -> pb.ConnectionPool:
        pool = self._database.pool
        stats: Mapping[str, int] = pool.get_stats()
        return pb.ConnectionPool(
            used=pool.lent,
            idle=stats.get("pool_available", 0),
            max=pool.max_size,
            waiting=stats.get("requests_waiting", 0),
        )


def _queue_to_proto(depth: operating.Depth) -> pb.Queue:
    queue = pb.Queue(
        name=depth.queue, pending=depth.pending, doing=depth.doing, failed=depth.failed, paused=depth.paused
    )
    queue.oldest_due.FromTimedelta(timedelta(seconds=depth.oldest_due_seconds))
    return queue


def _worker_to_proto(worker: operating.WorkerRow) -> pb.WorkerHeartbeat:
    heartbeat = pb.WorkerHeartbeat(worker_id=worker.id, doing=worker.doing)
    heartbeat.silence.FromTimedelta(timedelta(seconds=max(worker.heartbeat_seconds, 0)))
    return heartbeat
