"""Whether a process can do its work: the gRPC health protocol, driven by real checks, and the same in more words."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import grpc
import structlog
from grpc_health.v1 import health, health_pb2

from bazaruto.operations.v1 import health_pb2 as pb
from bazaruto.operations.v1 import health_pb2_grpc as rpc_pb
from libs import jobs
from libs.db import Database
from libs.errors import DomainError
from libs.telemetry import metrics
from libs.version import VERSION

log = structlog.get_logger("health")

_EVERY = 2.0  # seconds between two checks


class HealthDetailServicer(rpc_pb.HealthDetailServiceServicer):
    """Runs the checks when it is asked."""

    def __init__(self, service: str, database: Database) -> None:
        self._service = service
        self._database = database

    def GetHealthDetail(self, request: pb.GetHealthDetailRequest, context: grpc.ServicerContext) -> pb.HealthDetail:
        detail = pb.HealthDetail(service=self._service, version=VERSION, healthy=True)
        try:
            detail.database_response_time.FromTimedelta(timedelta(seconds=self._database.ping()))
            with self._database.reading() as session:
                detail.pending_jobs, detail.failed_jobs = jobs.count(session)
        except DomainError as error:
            detail.healthy = False
            detail.database_error = error.message
        return detail


class HealthMonitor:
    """Checks the database every two seconds and tells the health protocol; also brings the gauges up to date."""

    def __init__(self, servicer: health.HealthServicer, names: Sequence[str], database: Database) -> None:
        self._servicer = servicer
        self._names = ("", *names)
        self._database = database
        self._stop = threading.Event()
        self._serving: bool | None = None
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)

    def start(self) -> None:
        """Begin to check; nothing is served before the first check is good."""
        self._tell(serving=False)
        self._thread.start()

    def stop(self) -> None:
        """Tell everybody that this process goes away."""
        self._stop.set()
        self._servicer.enter_graceful_shutdown()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._check()
                serving = True
            except DomainError as error:
                serving = False
                log.error("health check failed", error=error.message)
            if not self._stop.is_set() and serving is not self._serving:
                self._tell(serving)
            self._stop.wait(_EVERY if serving else _EVERY / 4)

    def _check(self) -> None:
        self._database.ping()
        self._database.observe_pool()
        with self._database.reading() as session:
            pending, failed = jobs.count(session)
        metrics.jobs_pending.set(pending)
        metrics.jobs_failed.set(failed)

    def _tell(self, serving: bool) -> None:
        self._serving = serving
        state = health_pb2.HealthCheckResponse
        for name in self._names:
            self._servicer.set(name, state.SERVING if serving else state.NOT_SERVING)
