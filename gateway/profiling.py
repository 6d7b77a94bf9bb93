"""`/debug/pprof/*` of the gateway. Answered to the machine itself only; to others these paths do not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway import problems
from gateway.exchange import Request, Response
from libs import profiling


def build() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """The pages by path."""
    return {f"{profiling.PREFIX}{name}": _answer for name in ("", *profiling.NAMES)}


async def _answer(request: Request) -> Response:
    if not profiling.is_from_here(request.peer, request.get("x-forwarded-for")):
        raise problems.unknown_path()
    name = request.path.removeprefix(profiling.PREFIX)
    try:
        kind, body = await asyncio.to_thread(profiling.answer, name, request.query, asyncio.all_tasks())
    except profiling.SecondsInvalid as error:
        raise problems.invalid([("seconds", str(error))]) from None
    except profiling.Busy:
        raise problems.overloaded() from None
    return Response(200, body, kind, [(b"cache-control", b"no-store")])
