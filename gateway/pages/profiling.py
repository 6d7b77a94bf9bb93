"""`/debug/pprof/*` of the gateway, for its own machine and for administrators; others find no such page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.http import problems
from gateway.http.exchange import NO_STORE, Page, Request, Response
from libs import profiling


def build(admit: Callable[[str], Awaitable[None]]) -> dict[str, Page]:
    """The pages by path. `admit` refuses an authorization that is no administrator's."""

    async def answer(request: Request) -> Response:
        if not profiling.is_from_here(request.peer, request.get("x-forwarded-for")):
            if not (authorization := request.get("authorization")):
                raise problems.unknown_path()
            await admit(authorization)
        return await _profile(request)

    return {f"{profiling.PREFIX}{name}": answer for name in ("", *profiling.NAMES)}


async def _profile(request: Request) -> Response:
    name = request.path.removeprefix(profiling.PREFIX)
    try:
        kind, body = await asyncio.to_thread(profiling.answer, name, request.query, asyncio.all_tasks())
    except profiling.SecondsInvalid as error:
        raise problems.invalid([("seconds", str(error))]) from None
    except profiling.Busy:
        raise problems.overloaded() from None
    return Response(200, body, kind, [NO_STORE])
