"""Background jobs on procrastinate, in the service's own database.

A job is deferred inside the transaction of the fact that it follows from, so that neither is ever there without
the other. It runs at least once: handlers are written so that a second run changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import procrastinate
import sqlalchemy as sa
import structlog
from opentelemetry.trace import SpanKind, StatusCode
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy.orm import Session

from libs.config import JobSettings
from libs.telemetry import metrics, traces

log = structlog.get_logger("jobs")

_TRACE = "_trace"  # the argument in which the trace context travels
_RESCUE_EVERY = "* * * * * */10"  # seconds last
_LOOK_EVERY = 1.0  # seconds; new jobs are heard of at once, this is for those that wait for their time

# The deferring side needs the queue's statements only, never its own connection.
_deferrer = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its name (`policies.open_billing`) and the queue it waits in."""

    name: str
    queue: str = "default"


def defer(session: Session, kind: JobKind, *, lock: str = "", at: datetime | None = None, **arguments: Any) -> None:
    """Defer a job inside the session's transaction.

    Jobs with the same `lock` never run at the same time. `at` is the earliest moment it may run.
    """
    connection = session.connection().connection.driver_connection
    if carrier := traces.inject():
        arguments[_TRACE] = carrier
    _deferrer.configure_task(
        kind.name, queue=kind.queue, lock=lock or None, schedule_at=at, connection=connection
    ).defer(**arguments)


class _Retry(BaseRetryStrategy):
    """Waits that grow fourfold, with jitter, up to a cap; and an end of trying."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if job.attempts + 1 >= self._settings.max_attempts:
            return None
        wait = self._settings.retry_wait * (4**job.attempts) * random.uniform(0.8, 1.2)  # noqa: S311
        return RetryDecision(retry_in={"seconds": max(1, round(min(wait, self._settings.retry_cap).total_seconds()))})


class JobRunner:
    """Runs the jobs of one service."""

    def __init__(self, url: str, settings: JobSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._retry = _Retry(settings)
        self._app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=url, min_size=1, max_size=3, kwargs={"application_name": name, "connect_timeout": 3}
            )
        )
        rescue = self._app.task(name="jobs.rescue_stalled", queueing_lock="jobs.rescue_stalled")
        self._app.periodic(cron=_RESCUE_EVERY)(rescue(self._rescue_stalled))

    def handle(self, kind: JobKind, handler: Callable[..., None]) -> None:
        """Run `handler` with the arguments that the job was deferred with; retry it when it raises."""

        def run(context: JobContext, /, **arguments: Any) -> None:
            carrier = arguments.pop(_TRACE, {})
            with (
                traces.attached(traces.extract(carrier)),
                traces.tracer.start_as_current_span(
                    f"job {kind.name}",
                    kind=SpanKind.CONSUMER,
                    attributes={
                        "messaging.system": "procrastinate",
                        "messaging.destination.name": kind.queue,
                        "messaging.message.id": str(context.job.id),
                    },
                    record_exception=False,
                ) as span,
            ):
                begun = time.perf_counter()
                outcome = "failed"
                told = {"job": kind.name, "job_id": context.job.id, "attempt": context.job.attempts + 1}
                try:
                    handler(**arguments)
                    outcome = "succeeded"
                    log.info("job succeeded", response_time=_ms_since(begun), **told)
                except Exception as error:
                    span.set_status(StatusCode.ERROR, type(error).__name__)
                    log.warning("job failed", response_time=_ms_since(begun), exc_info=True, **told)
                    raise
                finally:
                    metrics.job_duration.labels(kind.name, outcome).observe(time.perf_counter() - begun)

        self._app.task(name=kind.name, queue=kind.queue, retry=self._retry, pass_context=True)(run)

    def every(self, cron: str, kind: JobKind, handler: Callable[[], None]) -> None:
        """Run `handler` by a schedule (cron, optionally with seconds last). One worker runs each occurrence."""

        def run(timestamp: int) -> None:
            handler()

        task = self._app.task(name=kind.name, queue=kind.queue, queueing_lock=kind.name)
        self._app.periodic(cron=cron)(task(run))

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; jobs under way get 20 seconds to end, then they are put back."""
        # The library listens to signals only once it is connected; before that there is nothing to put back.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("working", concurrency=self._settings.concurrency)
        asyncio.run(self._run())

    def run_due(self) -> None:
        """Work on what is due now, with what follows from it, and return."""
        asyncio.run(self._run(wait=False))

    async def _run(self, *, wait: bool = True) -> None:
        async with self._app.open_async():
            await self._app.run_worker_async(
                wait=wait,
                install_signal_handlers=wait,
                name=self._name,
                concurrency=self._settings.concurrency,
                shutdown_graceful_timeout=20,
                delete_jobs="successful",
                fetch_job_polling_interval=_LOOK_EVERY,
                update_heartbeat_interval=self._settings.heartbeat.total_seconds(),
                stalled_worker_timeout=self._settings.stalled_after.total_seconds(),
            )

    async def _rescue_stalled(self, timestamp: int) -> None:
        """Give the jobs of dead workers back to the queue."""
        manager = self._app.job_manager
        stalled: Iterable[Job] = await manager.get_stalled_jobs(
            seconds_since_heartbeat=self._settings.stalled_after.total_seconds()
        )
        for job in stalled:
            log.warning("job rescued from a dead worker", job=job.task_name, job_id=job.id)
            await manager.retry_job(job)


def count(session: Session) -> tuple[int, int]:
    """How many jobs wait, and how many failed for good."""
    row = session.execute(
        sa.text(
            "SELECT count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'failed')"
            " FROM procrastinate_jobs WHERE status IN ('todo', 'failed')"
        )
    ).one()
    return row[0], row[1]


def schema() -> str:
    """The statements that make the queue's tables, for a migration."""
    return _deferrer.schema_manager.get_schema()


def _ms_since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)
