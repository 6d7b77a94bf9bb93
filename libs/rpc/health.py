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
from libs.rpc.shared import SharedLook
from libs.version import VERSION

log = structlog.get_logger("health")

_EVERY = 2.0  # seconds between two checks
PATIENCE = 1.5  # seconds; a database that hangs is one that does not answer


class Checks:
    """The checks of one process. Those who ask while one runs share it.

    The gauges of the pool and of the jobs are brought up to date by the same queries.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look = SharedLook(self._check, "health")

    def run(self, seconds: float = PATIENCE) -> tuple[float, int, int]:
        """Seconds that the database took, jobs that wait, jobs that failed. `DatabaseUnavailable` after `seconds`."""
        return self._look.run(seconds)

    def stop(self) -> None:
        """Check nothing any more."""
        self._look.stop()

    def _check(self) -> tuple[float, int, int]:
        seconds = self._database.ping()
        self._database.observe_pool()
        self._database.look_at_replica()
        with self._database.reading(fresh=True) as session:
            return seconds, *jobs.observe(session)


class HealthDetailServicer(rpc_pb.HealthDetailServiceServicer):
    """Runs the checks when it is asked."""

    def __init__(self, service: str, checks: Checks) -> None:
        self._service = service
        self._checks = checks

    def GetHealthDetail(self, request: pb.GetHealthDetailRequest, context: grpc.ServicerContext) -> pb.HealthDetail:
        detail = pb.HealthDetail(service=self._service, version=VERSION, healthy=True)
        try:
            seconds, detail.pending_jobs, detail.failed_jobs = self._checks.run()
            detail.database_response_time.FromTimedelta(timedelta(seconds=seconds))
        except DomainError as error:
            detail.healthy = False
            detail.database_error = error.message
        return detail


class HealthMonitor:
    """Checks the database every two seconds and tells the health protocol; also brings the gauges up to date."""

    def __init__(self, servicer: health.HealthServicer, names: Sequence[str], checks: Checks) -> None:
        self._servicer = servicer
        self._names = ("", *names)
        self._checks = checks
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
        self._checks.stop()

    def _watch(self) -> None:
        while not self._stop.is_set():
            serving = self._is_well()
            if not self._stop.is_set() and serving is not self._serving:
                self._tell(serving)
            self._stop.wait(_EVERY if serving else _EVERY / 4)

    def _is_well(self) -> bool:
        try:
            self._checks.run()
        except DomainError as error:
            log.error("health check failed", error=error.message)
            return False
        except Exception as error:  # noqa: BLE001 - a database without its tables, for one: the next look must come
            if not self._stop.is_set():  # the checks end while this process goes away
                log.error("health check failed", error=repr(error))
            return False
        return True

    def _tell(self, serving: bool) -> None:
        self._serving = serving
        state = health_pb2.HealthCheckResponse
        for name in self._names:
            self._servicer.set(name, state.SERVING if serving else state.NOT_SERVING)
