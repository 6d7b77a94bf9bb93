"""The worker of one service: what it does for each kind of job, and what it says of it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import procrastinate
import psycopg
import structlog
from opentelemetry.trace import SpanKind, StatusCode
from procrastinate.job_context import JobContext

from libs.config import JobSettings
from libs.db import Database
from libs.jobs import history, nightly
from libs.jobs.daily import Daily
from libs.jobs.deferring import MOMENT, TRACE
from libs.jobs.fencing import FencedManager
from libs.jobs.kinds import Arguments, JobKind, Nothing
from libs.jobs.link import Link
from libs.jobs.loop import WorkerLoop, new_worker
from libs.jobs.nightly import Night, Occurrence, Run
from libs.jobs.retrying import Retry
from libs.jobs.underway import UnderWay
from libs.telemetry import metrics, traces

log = structlog.get_logger("jobs")

DELETE_OLD = JobKind("jobs.delete_old", Nothing)


class JobExited(RuntimeError):
    """A job tried to end its process."""


class JobRunner:
    """Runs the jobs of one service."""

    def __init__(self, url: str, settings: JobSettings, name: str, *, housekeeping: bool = True) -> None:
        """`housekeeping` says whether this worker also deletes old jobs, by the hour."""
        self._url = url
        self._settings = settings
        self._name = name
        self._endless: set[str] = set()  # names of the kinds that are tried until they succeed
        self._retry = Retry(settings, self._endless)
        self._link = Link(url, name)
        self._app = procrastinate.App(connector=self._link.connector)
        self._app.job_manager = self._manager = FencedManager(self._link)
        self._under_way = UnderWay()
        self._daily = Daily(self._link.connector)
        self._runs: set[str] = set()  # names of the kinds that run nightly
        forget = self._scheduled(DELETE_OLD, self._delete_old)
        if housekeeping:
            self._app.periodic(cron="7 * * * *")(forget)

    def handle(self, kind: JobKind[Arguments], handler: Callable[[Arguments], None]) -> None:
        """Run `handler` with the arguments that a job was deferred with; retry it when it raises."""
        if kind.endless:
            self._endless.add(kind.name)
        self._app.task(name=kind.name, queue=kind.queue, retry=self._retry, pass_context=True)(
            self._observed(kind, lambda stored: handler(kind.load(stored)))
        )

    def every(self, cron: str, kind: JobKind[Nothing], handler: Callable[[], None]) -> None:
        """Run `handler` by a schedule in real time: cron, in UTC, optionally with seconds last.

        One worker runs each occurrence.
        """
        self._app.periodic(cron=cron)(self._scheduled(kind, handler))

    def daily(self, kind: JobKind[Nothing], handler: Callable[[], None]) -> None:
        """Run `handler` once a day when the kind says, by the clock of the domain.

        One worker runs each occurrence. The last one that was missed is made up for by the next worker.
        """
        self._daily.add(kind)
        self._scheduled(kind, handler)

    def nightly(self, database: Database, run: Run[Occurrence]) -> None:
        """Go through what is due once a day when the kind of the run says, by the clock of the domain."""
        self._daily.add(run.kind)
        self.sweep(database, run, lambda occurrence: nightly.night_of(database, run.kind, occurrence))

    def sweep(self, database: Database, run: Run[Arguments], night_of: Callable[[Arguments], Night]) -> None:
        """Go through what is due whenever a job of the run's kind says so; `night_of` gives what it is for."""
        self._runs.add(run.kind.name)
        self.handle(run.kind, lambda job: nightly.carry_out(database, run, job, night_of(job)))

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; jobs under way get 20 seconds to end, then they are put back.

        A database that goes away is waited for.
        """
        # Signals are listened to once there is a loop; before that there is nothing to put back.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("working", concurrency=self._settings.concurrency)
        loop = WorkerLoop(
            self._app,
            self._manager,
            self._link,
            self._settings,
            self._under_way,
            self._endless,
            self._daily,
            self._runs,
        )
        asyncio.run(loop.run())

    def run_due(self) -> None:
        """Work on what is due now, with what follows from it, and return. Schedules wait for a worker that stays."""
        self._app.periodic_registry.periodic_tasks.clear()

        async def work() -> None:
            async with self._app.open_async():
                await new_worker(self._app, self._settings, wait=False).run()  # type: ignore[no-untyped-call]

        asyncio.run(work())
        if self._link.reason:
            raise self._link.reason

    def _scheduled(self, kind: JobKind[Nothing], handler: Callable[[], None]) -> Any:
        """The task of a job that runs by a schedule; it waits once at most."""
        task = self._app.task(
            name=kind.name,
            queue=kind.queue,
            priority=kind.priority,
            queueing_lock=kind.name,
            retry=self._retry,
            pass_context=True,
        )
        return task(self._observed(kind, lambda stored: handler()))

    def _observed(self, kind: JobKind[Any], handler: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        """The handler with a span, a line in the log and a measure of time."""

        def run(context: JobContext, /, **stored: Any) -> None:
            carrier = stored.pop(TRACE, {})
            stored.pop(MOMENT, None)
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
                self._under_way.noted(context.job.worker_id or 0, job_id) as start,
            ):
                outcome = "failed"
                log_fields = {
                    "job": kind.name,
                    "queue": kind.queue,
                    "job_id": job_id,
                    "attempt": context.job.attempts + 1,
                }
                try:
                    handler(stored)
                    outcome = "succeeded"
                    log.info("job succeeded", response_time=_ms_since(start), **log_fields)
                except BaseException as error:
                    span.set_status(StatusCode.ERROR, type(error).__name__)
                    log_fields["response_time"] = _ms_since(start)
                    if self._retry.is_over(error, context.job):
                        log.error("job failed for good", exc_info=True, **log_fields)
                    elif self._retry.is_worrying(context.job):
                        log.error("job still fails", exc_info=True, **log_fields)
                    else:
                        log.warning("job failed", exc_info=True, **log_fields)
                    if not isinstance(error, Exception):
                        raise JobExited(repr(error)) from error  # the process is not a job's to end
                    raise
                finally:
                    metrics.job_duration.labels(kind.name, outcome).observe(time.monotonic() - start)

        return run

    def _delete_old(self) -> None:
        """Forget the jobs that ended well, or were cancelled, long enough ago."""
        with psycopg.connect(self._url, autocommit=True, application_name=self._name, connect_timeout=3) as connection:
            deleted = history.delete_old(connection, self._settings.kept)
        log.info("old jobs deleted", count=deleted)


def _ms_since(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)
