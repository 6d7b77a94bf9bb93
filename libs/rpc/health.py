"""Whether a process can do its work: the gRPC health protocol, driven by real checks, `/readyz`, and more words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazaruto.operations.v1 import health_pb2 as pb
from bazaruto.operations.v1 import health_pb2_grpc as rpc_pb
from libs import jobs, readiness
from libs.db import Database
from libs.errors import DomainError
from libs.rpc.shared import SharedLook
from libs.telemetry import pages
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


class _Watcher:
    """One stream of the health protocol. It hears a state once, and the newest one last."""

    def __init__(self, send: Callable[[object], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._heard: int | None = None

    def tell(self, state: Callable[[], int]) -> None:
        """Send the state, if it is another one than before."""
        with self._lock:
            newest = state()
            if newest != self._heard:
                self._heard = newest
                self._send(health_pb2.HealthCheckResponse(status=newest))

    def end(self) -> None:
        """End the stream."""
        self._send(None)


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the package has no types
    """The gRPC health protocol.

    The library's own holds a lock while it sends to a watcher. A watcher that leaves in that moment needs the lock in
    the thread that would finish the sending, and no call of the process is answered any more.
    """

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._watchers: dict[_Watcher, str] = {}
        # The library calls back instead of keeping a thread for each watcher.
        HealthServicer.Watch.experimental_non_blocking = True  # type: ignore[attr-defined]

    def set(self, name: str, state: int) -> None:
        """Say how a service is; the process as a whole has the empty name."""
        self._states[name] = state
        for watcher, watched in list(self._watchers.items()):
            if watched == name:
                watcher.tell(lambda: self._state(name))

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:
        if request.service not in self._states:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return health_pb2.HealthCheckResponse(status=self._state(request.service))

    def Watch(self, request: Any, context: grpc.ServicerContext, send: Any = None) -> None:
        name = request.service
        watcher = _Watcher(send)
        self._watchers[watcher] = name

        def forget() -> None:
            self._watchers.pop(watcher, None)

        if context.add_callback(forget):
            watcher.tell(lambda: self._state(name))
        else:  # it has left already
            forget()

    def end_watches(self) -> None:
        """End what watchers listen to, so that they ask again elsewhere and this process need not wait for them."""
        for watcher in list(self._watchers):
            watcher.end()

    def _state(self, name: str) -> int:
        unknown: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        return self._states.get(name, unknown)


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
    """Checks the database every two seconds, and tells the health protocol and `/readyz`.

    The gauges are brought up to date by the same checks.
    """

    def __init__(self, servicer: HealthServicer, names: Sequence[str], checks: Checks) -> None:
        self._servicer = servicer
        self._names = ("", *names)
        self._checks = checks
        self._stop = threading.Event()
        self._lock = threading.Lock()  # so that the last word of a process that leaves is that it does
        self._serving: bool | None = None
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)
        pages.add(pages.READY, self._show)

    def start(self) -> None:
        """Begin to check; nothing is served before the first check is good."""
        self._set_serving(serving=False)
        self._thread.start()

    def stop(self) -> None:
        """Tell everybody that this process goes away. Saying it again changes nothing."""
        self._stop.set()
        self._set_serving(serving=False)
        self._checks.stop()

    def _show(self, _query: str, _authorization: str) -> pages.Answer:
        """`/readyz` of a server: what the health protocol says of the whole process."""
        if self._stop.is_set():
            return pages.readiness("it is stopping")
        return pages.readiness("" if self._serving else "its database does not answer")

    def _watch(self) -> None:
        while not self._stop.is_set():
            serving = self._is_well()
            if serving is not self._serving:
                self._set_serving(serving=serving)
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

    def _set_serving(self, *, serving: bool) -> None:
        state = health_pb2.HealthCheckResponse
        with self._lock:
            if serving and self._stop.is_set():
                return
            self._serving = serving
            for name in self._names:
                self._servicer.set(name, state.SERVING if serving else state.NOT_SERVING)
        if serving:
            readiness.tell()
