"""Taking jobs from workers that are dead, that leave, or that will not end: back to the queue, or out of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import structlog
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import UniqueViolation

from libs.config import JobSettings
from libs.jobs import measures

log = structlog.get_logger("jobs")

# One job at a time: that a periodic job waits already is only seen when the one before has been put back. Such a job
# is not put back a second time, and nothing is lost: the one that waits does the same.
_RELEASE: Final = """
    WITH taken AS (
        SELECT job.id FROM procrastinate_jobs AS job LEFT JOIN procrastinate_workers AS worker
            ON worker.id = job.worker_id
        WHERE job.status = 'doing' AND ({condition})
        ORDER BY job.id LIMIT 1 FOR UPDATE OF job SKIP LOCKED
    )
    UPDATE procrastinate_jobs AS job
    SET attempts = job.attempts + %(counted)s, worker_id = NULL, abort_requested = false,
        status = CASE
            WHEN job.abort_requested THEN 'aborted'
            WHEN job.attempts + %(counted)s >= %(max_attempts)s
                AND job.task_name <> ALL (%(endless)s::text[]) THEN 'failed'
            WHEN EXISTS (
                SELECT 1 FROM procrastinate_jobs AS other
                WHERE other.queueing_lock = job.queueing_lock AND other.status = 'todo'
            ) THEN 'aborted'
            ELSE 'todo'
        END::procrastinate_job_status,
        scheduled_at = now() + %(counted)s * (0.8 + 0.4 * random()) * interval '1 s'
            * least(%(retry_wait)s * power(4, least(job.attempts, 20)), %(retry_cap)s)
    FROM taken WHERE job.id = taken.id
    RETURNING job.id, job.task_name, job.queue_name, job.attempts, job.status::text
"""
_STALLED: Final = _RELEASE.format(
    condition="worker.id IS NULL OR worker.last_heartbeat < now() - %(stalled_after)s * interval '1 s'"
)
_NAMED: Final = _RELEASE.format(condition="job.worker_id = %(worker_id)s AND job.id = %(job_id)s")


class Rescuer:
    """Takes jobs from workers. Those that were begun and not ended by themselves count as tried."""

    def __init__(self, connector: BaseAsyncConnector, settings: JobSettings, endless: Collection[str]) -> None:
        """`endless` are the names of kinds that are never parked as failed; it may grow."""
        self._connector = connector
        self._settings = settings
        self._endless = endless

    async def rescue(self) -> None:
        """Take the jobs of dead workers."""
        await self._release(
            _STALLED, "its worker is dead", counted=1, stalled_after=self._settings.stalled_after.total_seconds()
        )

    async def take(self, worker_id: int, job_id: int, why: str, *, counted: bool) -> None:
        """Take a job from a living worker."""
        await self._release(_NAMED, why, counted=int(counted), worker_id=worker_id, job_id=job_id)

    async def _release(self, statement: Any, why: str, **values: Any) -> None:
        values |= {
            "max_attempts": self._settings.max_attempts,
            "endless": list(self._endless),
            "retry_wait": self._settings.retry_wait.total_seconds(),
            "retry_cap": self._settings.retry_cap.total_seconds(),
        }
        while True:
            try:
                taken = await self._connector.execute_query_all_async(query=statement, **values)
            except UniqueViolation:  # a periodic job came into the queue at this very moment; look again
                continue
            if not taken:
                return
            self._report(taken[0], why)

    def _report(self, job: dict[str, Any], why: str) -> None:
        log_fields = {"job": job["task_name"], "job_id": job["id"], "attempt": job["attempts"], "reason": why}
        if job["status"] == "todo":
            measures.retries.labels(job["queue_name"]).inc()
            log.warning("job put back into its queue", **log_fields)
        elif job["status"] == "failed":
            log.error("job failed for good", **log_fields)
        else:
            log.warning("job given up: it was cancelled, or another of its kind waits", **log_fields)
