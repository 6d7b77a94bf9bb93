"""A planted hot loop, a planted allocator and a planted task rank first in what pprof shows of a process."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from libs import profiling
from tests.integration.observability.planted import allocator, hot_loop, own_pages
from tests.unit.gateway.pages.test_profiling import profile_type


@pytest.fixture
def url() -> Iterator[str]:
    """The pages of this process."""
    with own_pages() as address:
        yield f"{address}/debug/pprof/"


def ranked(body: bytes) -> list[str]:
    """Functions by what they took themselves, the most first."""
    profile = profile_type().from_binary(gzip.decompress(body))
    names = {one.id: profile.string_table[one.name] for one in profile.function}
    functions = {one.id: names[one.line[0].function_id] for one in profile.location}
    taken: Counter[str] = Counter()
    for sample in profile.sample:
        taken[functions[sample.location_id[0]]] += sample.value[-1]
    return [name for name, _ in taken.most_common()]


def test_planted_hot_loop_ranks_first_among_threads_that_wait(url: str) -> None:
    with hot_loop():
        body = httpx.get(f"{url}profile?seconds=1", timeout=30).content
    assert "planted_hot_loop" in ranked(body)[0]


def test_planted_allocator_ranks_first(url: str) -> None:
    with allocator():
        body = httpx.get(f"{url}heap?seconds=1", timeout=30).content
    assert "planted_allocator" in ranked(body)[0]


def test_planted_task_of_another_thread_is_seen(url: str) -> None:
    stop, planted = threading.Event(), threading.Event()

    async def planted_task() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.01)

    async def run() -> None:
        left = [asyncio.create_task(planted_task()) for _ in range(5)]
        asyncio.get_running_loop().call_soon(planted.set)  # after each has come to its first wait
        await asyncio.gather(*left)

    loop = threading.Thread(target=asyncio.run, args=(run(),))
    loop.start()
    assert planted.wait(5)
    try:
        binary = httpx.get(f"{url}goroutine", timeout=30).content
        text = httpx.get(f"{url}goroutine?debug=1", timeout=30).text
    finally:
        stop.set()
    loop.join()
    assert gzip.decompress(binary)
    assert "planted_task" in text
    assert any(block.startswith("5 @") and "planted_task" in block for block in text.split("\n\n"))


def test_one_profile_at_a_time(url: str) -> None:
    running = threading.Thread(target=httpx.get, args=(f"{url}profile?seconds=1",), kwargs={"timeout": 30})
    running.start()
    end = time.monotonic() + 5
    while not profiling._busy.locked():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert httpx.get(f"{url}heap?seconds=1", timeout=30).status_code == 429
    running.join()


def test_pages_of_a_process_are_listed_and_others_do_not_exist(url: str) -> None:
    root = url.removesuffix("debug/pprof/")
    assert "/debug/pprof/heap" in httpx.get(root).text
    assert httpx.get(f"{root}metrics").text.startswith("# HELP")
    for path in ("debug/pprof/cmdline", "debug/pprof/../heap", "nothing", "debug/pprofheap"):
        assert httpx.get(f"{root}{path}").status_code == 404
    assert httpx.get(f"{url}heap", headers={"x-forwarded-for": "10.0.0.1"}).status_code == 404
