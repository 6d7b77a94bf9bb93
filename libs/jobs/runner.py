"""The worker of one service: it runs jobs, looks after those of dead workers, and leaves in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import procrastinate
import psycopg
import structlog
from opentelemetry.trace import SpanKind, StatusCode
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.worker import Worker

from libs import telemetry
from libs.config import JobSettings
from libs.jobs import history, measures
from libs.jobs.deferring import TRACE
from libs.jobs.fencing import FencedManager
from libs.jobs.kinds import QUEUES, JobKind
from libs.jobs.rescue import Rescuer
from libs.jobs.retrying import Retry
from libs.telemetry import metrics, traces

log = structlog.get_logger("jobs")

DELETE_OLD = JobKind("jobs.delete_old")

_LOOK_EVERY = 1.0  # seconds; new jobs are heard of at once, this is for those that wait for their time
_TEND_EVERY = 5.0  # seconds between two looks at dead workers and at the queues
_GRACE = 20.0  # seconds that jobs under way get to end


class JobExited(RuntimeError):
    """A job tried to end its process."""


class WorkerStopped(RuntimeError):
    """The worker stopped without being asked to."""


class JobRunner:
    """Runs the jobs of one service."""

    def __init__(self, url: str, settings: JobSettings, name: str, *, housekeeping: bool = True) -> None:
        """`housekeeping` says whether this worker also deletes old jobs, by the hour."""
        self._url = url
        self._settings = settings
        self._name = name
        self._retry = Retry(settings)
        connector = procrastinate.PsycopgConnector(
            conninfo=url, min_size=1, max_size=3, kwargs={"application_name": name, "connect_timeout": 3}
        )
        self._app = procrastinate.App(connector=connector)
        self._app.job_manager = FencedManager(connector)
        self._connector = connector
        self._rescuer = Rescuer(connector, settings)
        self._begun: dict[int, float] = {}  # jobs under way, and when they began
        forget = self._scheduled(DELETE_OLD, self._delete_old)
        if housekeeping:
            self._app.periodic(cron="7 * * * *")(forget)

    def handle(self, kind: JobKind, handler: Callable[..., None]) -> None:
        """Run `handler` with the arguments that the job was deferred with; retry it when it raises."""
        self._app.task(name=kind.name, queue=kind.queue, retry=self._retry, pass_context=True)(
            self._told(kind, handler)
        )

    def every(self, cron: str, kind: JobKind, handler: Callable[[], None]) -> None:
        """Run `handler` by a schedule (cron, optionally with seconds last). One worker runs each occurrence."""
        self._app.periodic(cron=cron)(self._scheduled(kind, handler))

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; jobs under way get 20 seconds to end, then they are put back."""
        # Signals are listened to once there is a loop; before that there is nothing to put back.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("working", concurrency=self._settings.concurrency)
        asyncio.run(self._work())

    def run_due(self) -> None:
        """Work on what is due now, with what follows from it, and return. Schedules wait for a worker that stays."""
        self._app.periodic_registry.periodic_tasks.clear()

        async def work() -> None:
            async with self._app.open_async():
                await self._worker(wait=False).run()  # type: ignore[no-untyped-call]

        asyncio.run(work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self._settings.concurrency, "job"))
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        async with self._app.open_async():
            worker = self._worker(wait=True)
            working = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
            tending = asyncio.create_task(self._tend(stopping))
            asked = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.is_set():
                    worker.stop()  # type: ignore[no-untyped-call]
                    await self._end(worker, working)
                await working
            finally:
                tending.cancel()
                asked.cancel()
        if not stopping.is_set():
            raise WorkerStopped("the worker stopped by itself; the lines above say why")

    def _worker(self, *, wait: bool) -> Worker:
        return Worker(
            self._app,
            wait=wait,
            install_signal_handlers=False,
            name=self._name,
            concurrency=self._settings.concurrency,
            fetch_job_polling_interval=_LOOK_EVERY,
            update_heartbeat_interval=self._settings.heartbeat.total_seconds(),
            stalled_worker_timeout=self._settings.stalled_after.total_seconds(),
        )

    async def _tend(self, stopping: asyncio.Event) -> None:
        """Look after the queues, and end this process when a job in it will not end."""
        every = min(_TEND_EVERY, self._settings.stalled_after.total_seconds() / 3)
        next_look = 0.0
        while True:
            if self._overdue():
                stopping.set()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + every
                try:
                    await self._rescuer.rescue()
                    measures.show(
                        await self._connector.execute_query_all_async(query=measures.DEPTHS, queues=list(QUEUES))
                    )
                except ConnectorException as error:
                    log.warning("queues cannot be looked after", error=str(error))
            await asyncio.sleep(min(1.0, every))

    def _overdue(self) -> list[int]:
        """The jobs that have run longer than any may."""
        limit = time.monotonic() - self._settings.time_limit.total_seconds()
        return [job_id for job_id, begun in list(self._begun.items()) if begun < limit]

    async def _end(self, worker: Worker, working: asyncio.Task[None]) -> None:
        """Wait until the jobs under way have ended. A thread cannot be ended from outside: when one goes on for too
        long, its job is taken from it and the process leaves without it."""
        deadline = time.monotonic() + _GRACE
        while not working.done() and time.monotonic() < deadline:
            alone = bool(self._begun) and set(self._begun) == set(self._overdue())
            done, _ = await asyncio.wait({working}, timeout=0.5)
            if alone and not done:
                break
        if working.done() or worker.worker_id is None:
            return
        overdue = self._overdue()
        for job_id in overdue:
            log.error("job failed: it ran longer than jobs.time_limit", job_id=job_id)
        others = [job_id for job_id in list(self._begun) if job_id not in overdue]
        await self._rescuer.take(worker.worker_id, overdue, "it ran longer than jobs.time_limit", counted=True)
        await self._rescuer.take(worker.worker_id, others, "its worker leaves", counted=False)
        await self._app.job_manager.unregister_worker(worker.worker_id)
        telemetry.stop()
        os._exit(1 if overdue else 0)

    def _scheduled(self, kind: JobKind, handler: Callable[[], None]) -> Any:
        """The task of a job that runs by a schedule; it waits once at most."""
        task = self._app.task(
            name=kind.name,
            queue=kind.queue,
            priority=kind.priority,
            queueing_lock=kind.name,
            retry=self._retry,
            pass_context=True,
        )
        return task(self._told(kind, lambda timestamp: handler()))

    def _told(self, kind: JobKind, handler: Callable[..., None]) -> Callable[..., None]:
        """The handler with a span, a line in the log and a measure of time."""

        def run(context: JobContext, /, **arguments: Any) -> None:
            carrier = arguments.pop(TRACE, {})
            job_id = context.job.id or 0
            with (
                traces.attached(traces.extract(carrier)),
                traces.tracer.start_as_current_span(
                    f"job {kind.name}",
                    kind=SpanKind.CONSUMER,
                    attributes={
                        "messaging.system": "procrastinate",
                        "messaging.destination.name": kind.queue,
                        "messaging.message.id": str(job_id),
                    },
                    record_exception=False,
                ) as span,
            ):
                begun = self._begun[job_id] = time.monotonic()
                outcome = "failed"
                told = {"job": kind.name, "queue": kind.queue, "job_id": job_id, "attempt": context.job.attempts + 1}
                try:
                    handler(**arguments)
                    outcome = "succeeded"
                    log.info("job succeeded", response_time=_ms_since(begun), **told)
                except BaseException as error:
                    span.set_status(StatusCode.ERROR, type(error).__name__)
                    told["response_time"] = _ms_since(begun)
                    if self._retry.is_over(error, context.job):
                        log.error("job failed for good", exc_info=True, **told)
                    else:
                        log.warning("job failed", exc_info=True, **told)
                    if not isinstance(error, Exception):
                        raise JobExited(repr(error)) from error  # the process is not a job's to end
                    raise
                finally:
                    del self._begun[job_id]
                    metrics.job_duration.labels(kind.name, outcome).observe(time.monotonic() - begun)

        return run

    def _delete_old(self) -> None:
        """Forget the jobs that ended well, or were cancelled, long enough ago."""
        with psycopg.connect(self._url, autocommit=True, application_name=self._name, connect_timeout=3) as connection:
            deleted = history.delete_old(connection, self._settings.kept)
        log.info("old jobs deleted", count=deleted)


def _ms_since(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 1)
