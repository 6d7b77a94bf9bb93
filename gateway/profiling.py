"""`/debug/pprof/*`: where this process spends its time and memory, and what it waits for, in pprof's own format.

Answered to the machine itself only; to anybody else these paths do not exist. A profile runs for as long as it is
asked to, one at a time, and costs nothing otherwise.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from types import CodeType, FrameType
from urllib.parse import parse_qs

from gateway import problems
from gateway.exchange import Request, Response

_EVERY = 0.01  # seconds between two samples
_DEFAULT_SECONDS, _MOST_SECONDS = 5.0, 60.0
_DEPTH = 64

Frame = tuple[str, str, int]  # function, file, line
Stack = tuple[Frame, ...]  # the innermost first
_PATHS = ("goroutine", "heap", "profile")


def build() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """The pages by path."""
    busy = asyncio.Lock()

    async def answer(request: Request) -> Response:
        _only_this_machine(request)
        name = request.path.rpartition("/")[2]
        if not name:
            return _text("\n".join(f"/debug/pprof/{path}" for path in _PATHS) + "\n")
        if name == "goroutine":
            return _waiting(request)
        if busy.locked():
            raise problems.overloaded()
        async with busy:
            return await (_cpu(request) if name == "profile" else _heap(request))

    return {f"/debug/pprof/{path}": answer for path in ("", *_PATHS)}


def _only_this_machine(request: Request) -> None:
    """Not for anybody who comes through a proxy either: a proxy is told by the header that it adds."""
    try:
        is_here = ip_address(request.peer).is_loopback
    except ValueError:
        is_here = False
    if not is_here or request.get("x-forwarded-for"):
        raise problems.unknown_path()


async def _cpu(request: Request) -> Response:
    """Sample the stacks of all threads: where they are, working or waiting."""
    seconds = _seconds(request)
    found: Counter[Stack] = Counter()
    await asyncio.to_thread(_sample, found, seconds)
    period = int(_EVERY * 1e9)
    samples = [(stack, (count, count * period)) for stack, count in found.most_common()]
    return _profile([("samples", "count"), ("cpu", "nanoseconds")], samples, seconds, period)


def _sample(found: Counter[Stack], seconds: float) -> None:
    own = threading.get_ident()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for thread, frame in sys._current_frames().items():
            if thread != own:
                found[_stack(frame)] += 1
        time.sleep(_EVERY)


async def _heap(request: Request) -> Response:
    """What was allocated while tracing was on and is still there."""
    seconds = _seconds(request)
    tracemalloc.start(_DEPTH)
    try:
        await asyncio.sleep(seconds)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    samples = []
    for statistic in snapshot.statistics("traceback"):
        frames = tuple(("", frame.filename, frame.lineno) for frame in reversed(statistic.traceback))
        samples.append((frames, (statistic.count, statistic.size)))
    return _profile([("inuse_objects", "count"), ("inuse_space", "bytes")], samples, seconds, 1)


def _waiting(request: Request) -> Response:
    """The stacks of all threads and of all tasks."""
    found: Counter[Stack] = Counter(_stack(frame) for frame in sys._current_frames().values())
    found.update(_stack_of(reversed(task.get_stack(limit=_DEPTH))) for task in asyncio.all_tasks())
    if parse_qs(request.query).get("debug", ["0"])[0] != "0":
        lines = []
        for stack, count in found.most_common():
            lines += [f"{count} @", *(f"#\t{name}\t{file}:{line}" for name, file, line in stack), ""]
        return _text("\n".join(lines))
    return _profile([("goroutine", "count")], [(stack, (count,)) for stack, count in found.items()], 0, 1)


def _seconds(request: Request) -> float:
    given = parse_qs(request.query).get("seconds", [""])[0]
    try:
        seconds = float(given or _DEFAULT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise problems.invalid([("seconds", f"must be a number up to {_MOST_SECONDS:g}")])
    return seconds


def _stack(frame: FrameType | None) -> Stack:
    frames: list[Frame] = []
    while frame is not None and len(frames) < _DEPTH:
        frames.append(_frame(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(frames)


def _stack_of(frames: Iterable[FrameType]) -> Stack:
    return tuple(_frame(frame.f_code, frame.f_lineno) for frame in frames)


def _frame(code: CodeType, line: int) -> Frame:
    return getattr(code, "co_qualname", code.co_name), code.co_filename, line


def _text(text: str) -> Response:
    return Response(200, text.encode(), "text/plain; charset=utf-8", [(b"cache-control", b"no-store")])


def _profile(
    types: Sequence[tuple[str, str]],
    samples: Sequence[tuple[Stack, Sequence[int]]],
    seconds: float,
    period: int,
) -> Response:
    body = gzip.compress(encode(types, samples, int(seconds * 1e9), period), 5)
    return Response(200, body, "application/octet-stream", [(b"cache-control", b"no-store")])


def encode(
    types: Sequence[tuple[str, str]],
    samples: Sequence[tuple[Stack, Sequence[int]]],
    duration_nanos: int,
    period: int,
) -> bytes:
    """A `perftools.profiles.Profile` message. Its numbers of fields stand in pprof's profile.proto."""
    strings: dict[str, int] = {"": 0}
    functions: dict[tuple[str, str], int] = {}
    locations: dict[Frame, int] = {}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    def value_type(pair: tuple[str, str]) -> bytes:
        return _number(1, text(pair[0])) + _number(2, text(pair[1]))

    out = bytearray()
    for pair in types:
        out += _bytes(1, value_type(pair))
    for stack, values in samples:
        ids = b""
        for frame in stack:
            functions.setdefault(frame[:2], len(functions) + 1)
            ids += _varint(locations.setdefault(frame, len(locations) + 1))
        out += _bytes(2, _bytes(1, ids) + _bytes(2, b"".join(map(_varint, values))))
    for frame, number in locations.items():
        line = _number(1, functions[frame[:2]]) + _number(2, frame[2])
        out += _bytes(4, _number(1, number) + _bytes(4, line))
    for (name, file), number in functions.items():
        told = text(name or file)
        out += _bytes(5, _number(1, number) + _number(2, told) + _number(3, told) + _number(4, text(file)))
    period_type = value_type(types[-1])
    for value in strings:
        out += _bytes(6, value.encode("utf-8", "replace"))
    out += _number(9, time.time_ns()) + _number(10, duration_nanos)
    return bytes(out + _bytes(11, period_type) + _number(12, period))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
