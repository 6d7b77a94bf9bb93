"""A worker begins a job as soon as it may run: what it waits a second for otherwise is told to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from procrastinate.jobs import Notification, Status

from libs.jobs.fencing import FencedManager
from libs.jobs.link import Link
from tests.integration.jobs import worker
from tests.integration.jobs.queue import PATIENCE, Queue

pytestmark = pytest.mark.xdist_group("jobs")


class Ears:
    """What a worker hears of."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def __call__(self, *, channel: str, notification: Notification) -> None:
        """Note it."""
        self.heard.set()


@asynccontextmanager
async def listening(queue: Queue) -> AsyncIterator[tuple[FencedManager, Link, Ears]]:
    """A worker's side of the queue, which listens."""
    link, ears = Link(queue.url, "test-worker"), Ears()
    await link.open()
    manager = FencedManager(link)
    task = asyncio.create_task(manager.listen_for_jobs(on_notification=ears))
    try:
        yield manager, link, ears
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await link.close()


def test_job_behind_another_of_its_lock_begins_when_that_one_ends(queue: Queue) -> None:
    async def work() -> None:
        async with listening(queue) as (manager, _, ears):
            worker_id = await manager.register_worker()
            first = await manager.fetch_job(None, worker_id)
            assert first is not None
            assert await manager.fetch_job(None, worker_id) is None
            ears.heard.clear()
            await manager.finish_job(first, Status.SUCCEEDED, delete_job=False)
            assert ears.heard.is_set()
            assert await manager.fetch_job(None, worker_id) is not None

    queue.defer(worker.NOTE, "first", "second", lock="both")
    asyncio.run(work())


def test_job_that_comes_while_a_worker_looks_in_vain_is_seen(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with listening(queue) as (manager, link, ears), asyncio.timeout(PATIENCE):
            worker_id = await manager.register_worker()
            while not ears.heard.is_set():  # until it really listens
                queue.rows("SELECT pg_notify('procrastinate_any_queue_v1', '{\"type\": \"job_inserted\"}')")
                await asyncio.sleep(0.05)
            look, looks = link.connector.execute_query_one_async, 0

            async def look_slowly(**values: Any) -> Any:
                nonlocal looks
                row, looks = await look(**values), looks + 1
                if looks == 1:
                    ears.heard.clear()
                    queue.defer(worker.NOTE, "late")
                    await ears.heard.wait()
                return row

            monkeypatch.setattr(link.connector, "execute_query_one_async", look_slowly)
            job = await manager.fetch_job(None, worker_id)
            assert job is not None
            assert job.task_kwargs["name"] == "late"

    asyncio.run(work())
