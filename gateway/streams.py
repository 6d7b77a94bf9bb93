"""Streams of a service as NDJSON, as Server-Sent Events, or as the bytes of a download.

Status and headers wait for the first message, so that a stream that fails at once is an ordinary HTTP error. One
that fails later ends with the error as its last line or event.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from gateway.http import media, problems
from gateway.http.exchange import Headers, Receive, Send
from gateway.http.problems import Problem
from gateway.transcode.transcoding import Transcoder

FORMS = (media.NDJSON, media.EVENTS)


async def wait_until_gone(receive: Receive) -> None:
    """Return when the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Stream:
    """One stream that a service has been asked for. `headers` are those of every answer of its route."""

    def __init__(self, call: Any, transcoder: Transcoder, form: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.call = call
        self.headers = headers
        self.started = False
        self._transcoder = transcoder
        self._form = form

    async def run(self, send: Send, receive: Receive, headers: Headers, *, head_only: bool) -> None:
        """Send until the service ends the stream or the caller goes; the stream's error is raised.

        `headers` are those of the answer, less its content type; they are sent once the stream has `started`.
        """
        gone = asyncio.ensure_future(wait_until_gone(receive))
        gone.add_done_callback(lambda _: self.call.cancel())
        try:
            message = await self.call.read()
            while message is not grpc.aio.EOF:
                reply = self._transcoder.reply(message)
                if not self.started:
                    await self._start(send, headers, reply.content_type)
                if head_only:
                    return
                await send(self._chunk(self._frame(reply.body)))
                message = await self.call.read()
            if not self.started:
                await self._start(send, headers, "application/octet-stream")
            if (code := await self.call.code()) is not grpc.StatusCode.OK and not gone.done():
                raise grpc.aio.AioRpcError(
                    code,
                    await self.call.initial_metadata(),
                    await self.call.trailing_metadata(),
                    await self.call.details(),
                )
        finally:
            gone.cancel()
            self.call.cancel()

    async def finish(self, send: Send, problem: Problem | None, trace_id: str) -> None:
        """End a stream that has started, with the error that it ended in."""
        if problem is not None and not self._transcoder.gives_download:
            body = problem.encoded(trace_id)
            event = b"event: error\ndata: " + body + b"\n\n"
            await send(self._chunk(event if self._form == media.EVENTS else body + b"\n"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send, headers: Headers, content_type: str) -> None:
        self.started = True
        form = content_type if self._transcoder.gives_download else self._form
        content = (b"content-type", form.encode("latin-1", "replace"))
        await send({"type": "http.response.start", "status": 200, "headers": [content, *headers]})

    def _frame(self, body: bytes) -> bytes:
        if self._transcoder.gives_download:
            return body
        return b"data: " + body + b"\n\n" if self._form == media.EVENTS else body + b"\n"

    @staticmethod
    def _chunk(body: bytes) -> dict[str, Any]:
        return {"type": "http.response.body", "body": body, "more_body": True}


def form_of(accept: str) -> str:
    """NDJSON or events, by what the caller accepts."""
    form = media.choose(accept, FORMS)
    if form is None:
        raise problems.not_acceptable(" or ".join(FORMS))
    return form
