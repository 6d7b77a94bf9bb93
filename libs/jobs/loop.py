"""A worker from its start until it is asked to leave, through every absence of its database.

While the database is away nothing can be said about jobs, so the worker is as good as dead to it. When it is back the
worker registers anew, and the jobs that ended meanwhile go back to the queue like those of any dead worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import procrastinate
import psycopg
import structlog
from procrastinate.worker import Worker

from libs import telemetry
from libs.config import JobSettings
from libs.jobs import measures
from libs.jobs.daily import Daily
from libs.jobs.fencing import FencedManager
from libs.jobs.kinds import QUEUES
from libs.jobs.link import LOST, DatabaseRefused, DatabaseSilent, Link, is_refusal, wait_before
from libs.jobs.presence import Presence, on_one_line
from libs.jobs.rescue import Rescuer
from libs.jobs.underway import UnderWay

log = structlog.get_logger("jobs")

_LOOK_EVERY = 1.0  # seconds; new jobs are heard of at once, this is for those that wait for their time
_TEND_EVERY = 5.0  # seconds between two looks at dead workers and at the queues
_GRACE = 20.0  # seconds that jobs under way get to end
_LAST_WORDS = 3.0  # seconds that a leaving worker gives the database to hear what became of its jobs
_LASTING = 5.0  # seconds after which a database that came back is taken to be well


class WorkerStopped(RuntimeError):
    """The worker stopped, and neither a signal nor its database is why."""


def new_worker(app: procrastinate.App, settings: JobSettings, *, wait: bool) -> Worker:
    """A worker as the settings want it; without `wait` it ends when nothing is due."""
    return Worker(
        app,
        wait=wait,
        install_signal_handlers=False,
        concurrency=settings.concurrency,
        fetch_job_polling_interval=_LOOK_EVERY,
        update_heartbeat_interval=settings.heartbeat.total_seconds(),
        stalled_worker_timeout=settings.stalled_after.total_seconds(),
    )


class WorkerLoop:
    """Works on what an app knows to do. A process has one of it."""

    def __init__(
        self,
        app: procrastinate.App,
        manager: FencedManager,
        link: Link,
        settings: JobSettings,
        under_way: UnderWay,
        endless: Collection[str],
        daily: Daily,
        runs: Collection[str] = (),
    ) -> None:
        """`runs` are the names of the kinds that run nightly; it may grow."""
        self._app = app
        self._daily = daily
        self._runs = runs
        self._manager = manager
        self._link = link
        self._settings = settings
        self._under_way = under_way
        self._rescuer = Rescuer(link.connector, settings, endless)
        self._stopping = asyncio.Event()
        self._retired: set[asyncio.Task[None]] = set()  # workers that lost the database while they had jobs
        self._presence = Presence()
        self._attempt = 0

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT. `DatabaseRefused` when the database is there at the start and refuses."""
        loop = asyncio.get_running_loop()
        # As many jobs again may be under way from before the database went; and names are looked up here too.
        loop.set_default_executor(ThreadPoolExecutor(2 * self._settings.concurrency + 2, "job"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        asked = asyncio.create_task(self._stopping.wait())
        is_first = True
        while not self._stopping.is_set():
            reaching = asyncio.create_task(self._reach(is_first))
            await asyncio.wait({reaching, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not reaching.done():
                _leave(0)
            await reaching
            is_first = False
            await self._work(asked)
        await self._link.close()

    async def _reach(self, is_first: bool) -> None:
        """Wait for the database, however long it takes."""
        await self._link.close()
        while True:
            if self._attempt:
                await asyncio.sleep(wait_before(self._attempt - 1))
            self._attempt += 1
            try:
                await self._link.reach()
            except psycopg.Error as error:
                if is_first and is_refusal(error):
                    raise DatabaseRefused(
                        f"the database does not let this worker work: {on_one_line(error)}"
                    ) from error
                self._presence.gone(error)
            else:
                await self._link.open()
                return

    async def _work(self, asked: asyncio.Task[bool]) -> None:
        """Register and work, until the database is gone or this process is to leave."""
        start = time.monotonic()
        worker = new_worker(self._app, self._settings, wait=True)
        working = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
        working.add_done_callback(_drop)
        tending = asyncio.create_task(self._tend())
        lost = asyncio.create_task(self._link.lost.wait())
        try:
            await asyncio.wait({working, tending, lost, asked}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                await self._end(worker, working)
                return
            if tending.done():
                tending.result()
            if working.done() and not lost.done():
                self._link.lose(working.exception() or WorkerStopped("the lines above say why"))
        finally:
            tending.cancel()
            lost.cancel()
        reason = self._link.reason
        if not isinstance(reason, (psycopg.Error, DatabaseSilent, *LOST)):
            raise WorkerStopped("the worker stopped by itself; the lines above say why") from reason
        if time.monotonic() - start > _LASTING:
            self._attempt = 0
        self._presence.gone(reason)
        worker.stop()  # type: ignore[no-untyped-call]
        self._retired.add(working)
        working.add_done_callback(self._retired.discard)

    async def _tend(self) -> None:
        """Look after the queues, and end this process when a job in it will not end."""
        every = min(_TEND_EVERY, self._settings.stalled_after.total_seconds() / 3)
        next_look = 0.0
        while True:
            if self._overdue():
                self._stopping.set()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + every
                await self._look(every)
            await asyncio.sleep(min(1.0, every))

    async def _look(self, soon: float) -> None:
        """Take the jobs of dead workers and show what waits. What was shown before does not stand for what is now:
        it goes when there is no answer, and so does this worker once its jobs belong to others."""
        looking = asyncio.create_task(self._look_once())
        looking.add_done_callback(_drop)
        done, _ = await asyncio.wait({looking}, timeout=soon)
        if not done:
            self._presence.doubtful()
            done, _ = await asyncio.wait({looking}, timeout=self._settings.stalled_after.total_seconds())
        if not done:
            self._link.lose(DatabaseSilent("it holds its connections and does not answer"))
            return
        try:
            measures.show(looking.result())
        except LOST as error:
            self._presence.doubtful()
            if not self._link.lost.is_set():
                log.warning("queues cannot be looked after", error=on_one_line(error))
            return
        self._presence.back()

    async def _look_once(self) -> list[dict[str, Any]]:
        await self._manager.unregister_left()
        await self._rescuer.rescue()
        await self._daily.defer_due()
        if self._runs:
            measures.show_parked(
                await self._link.connector.execute_query_all_async(query=measures.PARKED, names=list(self._runs))
            )
        depths: list[dict[str, Any]] = await self._link.connector.execute_query_all_async(
            query=measures.DEPTHS, queues=list(QUEUES)
        )
        return depths

    async def _end(self, worker: Worker, working: asyncio.Task[None]) -> None:
        """Wait until the jobs under way have ended. A thread cannot be ended from outside: when one goes on for too
        long, its job is taken from it and the process leaves without it."""
        worker.stop()  # type: ignore[no-untyped-call]
        leaving = {working, *self._retired}
        last_busy = time.monotonic()
        deadline = last_busy + _GRACE
        while time.monotonic() < min(deadline, last_busy + _LAST_WORDS) and not self._link.lost.is_set():
            if self._under_way.all():
                last_busy = time.monotonic()
            alone = self._under_way.only(self._overdue())
            _, late = await asyncio.wait(leaving, timeout=0.5)
            if not late:
                return
            if alone:
                break
        overdue = self._overdue()
        for _, job_id in overdue:
            log.error("job failed: it ran longer than jobs.time_limit", job_id=job_id)
        if not self._link.lost.is_set():
            await asyncio.wait({asyncio.create_task(self._put_back(worker, overdue))}, timeout=_LAST_WORDS)
        _leave(1 if overdue else 0)

    async def _put_back(self, worker: Worker, overdue: set[tuple[int, int]]) -> None:
        runs = self._under_way.all()
        try:
            for worker_id, job_id in runs:
                late = (worker_id, job_id) in overdue
                why = "it ran longer than jobs.time_limit" if late else "its worker leaves"
                await self._rescuer.take(worker_id, job_id, why, counted=late)
            own = {worker.worker_id} if worker.worker_id is not None else set()
            for worker_id in own | {worker_id for worker_id, _ in runs}:
                await self._manager.unregister_worker(worker_id)
        except LOST as error:
            log.warning("jobs are left to be rescued", error=on_one_line(error))

    def _overdue(self) -> set[tuple[int, int]]:
        return self._under_way.longer_than(self._settings.time_limit.total_seconds())


def _drop(task: asyncio.Task[Any]) -> None:
    """How this task ends is asked for by nobody, or elsewhere."""
    if not task.cancelled():
        task.exception()


def _leave(code: int) -> NoReturn:
    """End the process, whatever its threads do."""
    telemetry.stop()
    os._exit(code)
