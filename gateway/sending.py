"""Sending: an answer, an error or a stream goes to the caller, with the headers that all of them have."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import structlog
from protobuf import Registry

from gateway import metadata
from gateway.http import conditional, media, problems, suspicion
from gateway.http.exchange import NO_STORE, ClientGone, Headers, Networks, Receive, Response, Send, send_response
from gateway.http.observing import Watch
from gateway.http.problems import Problem
from gateway.streams import Stream

log = structlog.get_logger("gateway")

_SECURITY: Headers = [
    (b"server", b"bazaruto"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_NO_FRAMES = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_VARY = (b"vary", b"accept, accept-encoding")
_NO_BUFFERING = (b"x-accel-buffering", b"no")  # a stream that nginx buffers is none
_CLOSE = (b"connection", b"close")


class Sender:
    """Sends every answer of one worker."""

    def __init__(self, registry: Registry, proxies: Networks, *, encrypted: bool) -> None:
        self._registry = registry
        self._proxies = proxies
        self._fixed = [*_SECURITY, *([_HSTS] if encrypted else [])]
        self._streams: set[Any] = set()
        self._leaving = False

    def leave(self) -> None:
        """Ask every caller to connect anew from now on, and end every stream."""
        self._leaving = True
        for call in list(self._streams):
            call.cancel()

    def problem(self, problem: Problem, watch: Watch) -> Response:
        """An error as an answer. One that looks like an attack is counted."""
        if problem.status < 500:
            client = watch.request.client_address(self._proxies)
            suspicion.look(watch.request, problem, watch.trace_id, client)
        headers = [NO_STORE, *problem.all_headers()]
        return Response(problem.status, problem.encoded(watch.trace_id), media.JSON, headers)

    async def send(self, response: Response, watch: Watch, send: Send) -> int:
        """Send a whole answer: not modified, or compressed where it helps, without its body for HEAD.

        Returns the status that was sent.
        """
        request, status, body = watch.request, response.status, response.body
        headers = [*self._common(watch), *response.headers, _VARY]
        if self._leaving and request.is_http1:  # HTTP/2 has a frame of its own for this
            headers.append(_CLOSE)
        if not any(name == b"content-security-policy" for name, _ in response.headers):
            headers.append(_NO_FRAMES)
        if response.etag:
            headers.append((b"etag", response.etag.encode()))
            seen = request.headers.get("if-none-match")
            is_read = request.method in ("GET", "HEAD")
            if seen and status == 200 and is_read and conditional.is_fresh(seen, response.etag):
                await send_response(send, 304, headers, b"")
                return 304
        if status == 204:
            await send_response(send, status, headers, b"")
            return status
        headers.append((b"content-type", response.content_type.encode("latin-1", "replace")))
        if len(body) >= media.COMPRESS_FROM and (accepted := request.headers.get("accept-encoding")):
            encoding = media.encoding(accepted)
            if encoding:
                body = media.compress(body, encoding)
                headers.append((b"content-encoding", encoding.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        await send_response(send, status, headers, b"" if request.method == "HEAD" else body)
        return status

    async def relay(self, stream: Stream, watch: Watch, receive: Receive, send: Send) -> int:
        """Send a stream until it ends. One that fails before its first message is answered as any error is."""
        headers = [*self._common(watch), *stream.headers, NO_STORE, _NO_FRAMES, _NO_BUFFERING]
        self._streams.add(stream.call)
        problem = None
        try:
            await stream.run(send, receive, headers, head_only=watch.request.method == "HEAD")
        except grpc.aio.AioRpcError as error:
            problem = metadata.problem(self._registry, error)
        except asyncio.CancelledError:
            if not stream.call.cancelled():
                raise
            if not stream.started:
                if not self._leaving:
                    raise ClientGone from None
                problem = problems.leaving()
        except Exception:
            event = "stream failed" if stream.started else "request failed"
            log.exception(event, trace_id=watch.trace_id, span_id=watch.span_id, path=watch.path)
            problem = problems.internal()
        finally:
            self._streams.discard(stream.call)
        if problem is not None and not stream.started:
            return await self.send(self.problem(problem, watch), watch, send)
        await stream.finish(send, problem, watch.trace_id)
        return 200

    def _common(self, watch: Watch) -> Headers:
        return [
            *self._fixed,
            (b"traceparent", watch.traceparent.encode()),
            (b"x-trace-id", watch.trace_id.encode()),
            (b"x-request-id", watch.request.request_id(watch.trace_id).encode("latin-1")),
        ]
