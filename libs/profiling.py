"""Where a process spends its time and memory, and what it waits for, in pprof's own format.

A profile runs for as long as it is asked to, one at a time, and costs nothing otherwise. The pages that show profiles
are for the machine itself: `is_from_here` says who that is.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from types import CodeType, FrameType
from typing import Any
from urllib.parse import parse_qs

from libs import pprof
from libs.pprof import Frame, Stack

PREFIX = "/debug/pprof/"
NAMES = ("goroutine", "heap", "profile")

_EVERY = 0.01  # seconds between two samples
_DEFAULT_SECONDS, _MOST_SECONDS = 5.0, 60.0
_DEPTH = 64
_TEXT, _BINARY = "text/plain; charset=utf-8", "application/octet-stream"
_busy = threading.Lock()


class SecondsInvalid(ValueError):
    """The time that a profile shall run is no number, or too long."""

    def __init__(self) -> None:
        super().__init__(f"must be a number up to {_MOST_SECONDS:g}")


class Busy(RuntimeError):
    """Another profile of this process is running."""


def is_from_here(peer: str, forwarded: str) -> bool:
    """Whether this machine asks. Not anybody who comes through a proxy: a proxy tells by the header that it adds."""
    try:
        return ip_address(peer).is_loopback and not forwarded
    except ValueError:
        return False


def answer(name: str, query: str, tasks: Iterable[asyncio.Task[Any]] | None = None) -> tuple[str, bytes]:
    """Content type and body of the page `name`; blocks while the profile runs.

    `tasks` are those of the caller's own loop; without them, they are looked for in all threads.
    """
    parameters = parse_qs(query)
    if not name:
        return _TEXT, "".join(f"{PREFIX}{page}\n" for page in NAMES).encode()
    if name == "goroutine":
        stacks = _waiting(_all_tasks() if tasks is None else tasks)
        if parameters.get("debug", ["0"])[0] != "0":
            return _TEXT, pprof.text(stacks.most_common()).encode()
        samples = [(stack, (count,)) for stack, count in stacks.items()]
        return _BINARY, _packed([("goroutine", "count")], samples, 0, 1)
    seconds = _seconds(parameters)
    if not _busy.acquire(blocking=False):
        raise Busy("another profile is running")
    try:
        return _BINARY, _cpu(seconds) if name == "profile" else _heap(seconds)
    finally:
        _busy.release()


def _seconds(parameters: dict[str, list[str]]) -> float:
    try:
        seconds = float(parameters.get("seconds", [""])[0] or _DEFAULT_SECONDS)
    except ValueError:
        raise SecondsInvalid from None
    if not 0 < seconds <= _MOST_SECONDS:
        raise SecondsInvalid
    return seconds


def _cpu(seconds: float) -> bytes:
    """Sample the stacks of all threads, each weighed by the processor time that its thread took since the last."""
    counts: Counter[Stack] = Counter()
    times: defaultdict[Stack, int] = defaultdict(int)
    own = threading.get_ident()
    before = _processor_times()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_EVERY)
        now = _processor_times()
        for thread, frame in sys._current_frames().items():
            used = now.get(thread, 0) - before.get(thread, now.get(thread, 0))
            if thread != own and used > 0:
                stack = _stack(frame)
                counts[stack] += 1
                times[stack] += used
        before = now
    samples = [(stack, (count, times[stack])) for stack, count in counts.most_common()]
    return _packed([("samples", "count"), ("cpu", "nanoseconds")], samples, seconds, int(_EVERY * 1e9))


def _processor_times() -> dict[int, int]:
    """Nanoseconds of processor time by thread. A thread that waits takes none, so that it does not show as work."""
    times = {}
    for thread in threading.enumerate():
        if thread.ident is not None and thread.native_id is not None:
            # The clock of a thread, as Linux numbers it. Asked by number, a thread that is over is an error and not
            # a crash, and asking does not give the interpreter's lock away.
            try:
                times[thread.ident] = time.clock_gettime_ns((~thread.native_id << 3) | 6)
            except OSError:
                continue
    return times


def _heap(seconds: float) -> bytes:
    """What was allocated while tracing was on and is still there."""
    tracemalloc.start(_DEPTH)
    try:
        time.sleep(seconds)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    functions = pprof.Functions()
    samples = []
    for statistic in snapshot.statistics("traceback"):
        frames = tuple(
            (functions.name(frame.filename, frame.lineno), frame.filename, frame.lineno)
            for frame in reversed(statistic.traceback)
        )
        samples.append((frames, (statistic.count, statistic.size)))
    return _packed([("inuse_objects", "count"), ("inuse_space", "bytes")], samples, seconds, 1)


def _waiting(tasks: Iterable[asyncio.Task[Any]]) -> Counter[Stack]:
    """The stacks of all threads and of the tasks."""
    stacks: Counter[Stack] = Counter(_stack(frame) for frame in sys._current_frames().values())
    stacks.update(filter(None, map(_stack_of_task, tasks)))
    return stacks


def _all_tasks() -> set[asyncio.Task[Any]]:
    """The tasks of every loop that runs in a thread: a loop's own frames are on the stack of its thread."""
    loops = set()
    for frame in sys._current_frames().values():
        current: FrameType | None = frame
        while current is not None:
            if isinstance(loop := current.f_locals.get("self"), asyncio.AbstractEventLoop):
                loops.add(loop)
            current = current.f_back
    return {task for loop in loops for task in asyncio.all_tasks(loop)}


def _stack_of_task(task: asyncio.Task[Any]) -> Stack:
    """Where a task waits: down through what each of its coroutines awaits."""
    frames: list[Frame] = []
    waiting: Any = task.get_coro()
    while (frame := getattr(waiting, "cr_frame", None)) is not None and len(frames) < _DEPTH:
        frames.append(_frame(frame.f_code, frame.f_lineno))
        waiting = waiting.cr_await
    return tuple(reversed(frames))


def _stack(frame: FrameType | None) -> Stack:
    frames: list[Frame] = []
    while frame is not None and len(frames) < _DEPTH:
        frames.append(_frame(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(frames)


def _frame(code: CodeType, line: int | None) -> Frame:
    return getattr(code, "co_qualname", code.co_name), code.co_filename, line or code.co_firstlineno


def _packed(
    types: Sequence[tuple[str, str]], samples: Sequence[tuple[Stack, Sequence[int]]], seconds: float, period: int
) -> bytes:
    return gzip.compress(pprof.encode(types, samples, int(seconds * 1e9), period), 5)
