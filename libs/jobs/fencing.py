"""What a worker says to its queue: it takes nothing from paused queues, and says nothing of jobs that it has lost.

A worker that stood still for long loses its jobs to another. When it goes on, what it has to say about them comes too
late, and is dropped; whatever its handlers have done stands, which is why they change nothing the second time.

When the database is gone, nothing here fails: the link hears of it, and whoever runs the worker ends it in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import structlog
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback

from libs.jobs import measures
from libs.jobs.kinds import QUEUES
from libs.jobs.link import Link

log = structlog.get_logger("jobs")

_FETCH: Final = """
    SELECT job.*, extract(epoch FROM now() - coalesce(
        job.scheduled_at, (SELECT min(at) FROM procrastinate_events WHERE job_id = job.id)
    ))::float8 AS delay
    FROM procrastinate_fetch_job_v2(
        ARRAY(SELECT unnest(%(queues)s::varchar[]) EXCEPT SELECT queue FROM paused_queues)::varchar[], %(worker_id)s
    ) AS job
"""
# A job that is over no longer belongs to its worker: a worker that leaves would have to be taken out of all of them.
_FINISH: Final = """
    UPDATE procrastinate_jobs
    SET status = %(status)s::procrastinate_job_status, attempts = attempts + 1, abort_requested = false,
        worker_id = NULL
    WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing'
    RETURNING id
"""
_RETRY: Final = """
    UPDATE procrastinate_jobs AS job
    SET status = CASE
            WHEN abort_requested THEN 'aborted'
            WHEN EXISTS (  -- a periodic job whose next occurrence waits already, and does the same
                SELECT 1 FROM procrastinate_jobs AS other
                WHERE other.queueing_lock = job.queueing_lock AND other.status = 'todo'
            ) THEN 'aborted'
            ELSE 'todo'
        END::procrastinate_job_status,
        attempts = attempts + 1, abort_requested = false, worker_id = NULL,
        scheduled_at = %(retry_at)s, priority = coalesce(%(priority)s, priority),
        queue_name = coalesce(%(queue)s, queue_name), lock = coalesce(%(lock)s, lock)
    WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing'
    RETURNING id
"""


class FencedManager(JobManager):
    """The library's manager with three statements of our own, and with ears for the end of its connections."""

    def __init__(self, link: Link) -> None:
        super().__init__(link.connector)
        self._link = link
        self._left: set[int] = set()  # workers of this process that could not say that they left
        self._hear: NotificationCallback | None = None
        self._has_heard = False

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Take the first job that is due from a queue that is not paused.

        The worker forgets what it hears while it looks: of a job that comes then, it would know a second later.
        """
        self._has_heard = True
        with self._link:
            while self._has_heard:
                self._has_heard = False
                row = await self.connector.execute_query_one_async(
                    query=_FETCH, queues=list(queues or QUEUES), worker_id=worker_id
                )
                if row["id"] is not None:
                    if row["delay"] is not None:  # the event of its making may be gone
                        measures.start_delay.labels(row["queue_name"]).observe(max(row["delay"], 0))
                    return Job.from_row(row)
        return None

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Hear of new jobs."""

        async def hear(*, channel: str, notification: Notification) -> None:
            self._has_heard = True
            await on_notification(channel=channel, notification=notification)

        self._hear = hear
        with self._link:
            await super().listen_for_jobs(on_notification=hear, queues=queues)

    async def list_jobs_to_abort_async(self, queue: str | None = None) -> Iterable[int]:
        """The running jobs that somebody wants to end."""
        with self._link:
            return await super().list_jobs_to_abort_async(queue)
        return []

    async def defer_periodic_job(self, job: Job, periodic_id: str, defer_timestamp: int) -> int | None:
        """Defer a job for its time, unless another worker did; what is missed is made up for by the next worker."""
        with self._link:
            return await super().defer_periodic_job(job, periodic_id, defer_timestamp)
        return None

    async def update_heartbeat(self, worker_id: int) -> None:
        """Give a sign of life."""
        with self._link:
            await super().update_heartbeat(worker_id)

    async def unregister_worker(self, worker_id: int) -> None:
        """Take a worker off the list, now or when the database is back."""
        self._left.add(worker_id)
        with self._link:
            await self.unregister_left()

    async def unregister_left(self) -> None:
        """Take those off the list that left meanwhile: the jobs that they had are free at once."""
        for worker_id in tuple(self._left):
            await super().unregister_worker(worker_id)
            self._left.discard(worker_id)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Write down how a job ended, unless it was given to somebody else. No job is deleted at once."""
        await self._write_end(_FINISH, job, status=status.value)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Put a job back for another try, unless it was given to somebody else or cancelled meanwhile."""
        if await self._write_end(_RETRY, job, retry_at=retry_at, priority=priority, queue=queue, lock=lock):
            measures.retries.labels(job.queue).inc()

    async def _write_end(self, statement: Any, job: Job, **values: Any) -> bool:
        values |= {"job_id": job.id, "worker_id": job.worker_id}
        ended = None
        with self._link:
            try:
                ended = await self.connector.execute_query_all_async(query=statement, **values)
            except UniqueViolation:  # the next occurrence of a periodic job came at this very moment: now it is seen
                ended = await self.connector.execute_query_all_async(query=statement, **values)
        if ended is None:
            log.warning("job ended without its database: it runs again", job=job.task_name, job_id=job.id)
        elif not ended:
            log.warning("job ended too late: it was given to another worker", job=job.task_name, job_id=job.id)
        elif job.lock and self._hear:  # what waited behind it may run now, and nobody else says so
            await self._hear(channel="", notification={"type": "job_inserted", "job_id": job.id or 0})
        return bool(ended)
