"""Calling: a request on a route becomes a call to its service, and the reply an answer or an open stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from protobuf import Registry

from gateway import metadata
from gateway.endpoints import Endpoint
from gateway.http import media, problems
from gateway.http.exchange import NO_STORE, ClientGone, Networks, Receive, Request, Response, read_body
from gateway.http.observing import Watch
from gateway.http.problems import Problem
from gateway.streams import Stream, form_of, wait_until_gone

# Watching for the caller to go away costs a task; calls that are over sooner do without.
_WATCH_AFTER = 0.05  # seconds
_REPEAT_AFTER = 0.1  # seconds
_LEAST = 0.5  # seconds; with less left than this a call is not repeated: its answer would be that time ran out
_REVALIDATE = (b"cache-control", b"private, no-cache")


class Caller:
    """Calls the services."""

    def __init__(self, registry: Registry, proxies: Networks, proof: Callable[[], str]) -> None:
        self._registry = registry
        self._proxies = proxies
        self._proof = proof
        self._leaving = False

    def leave(self) -> None:
        """Begin no stream any more."""
        self._leaving = True

    async def call(
        self, endpoint: Endpoint, segments: list[str], request: Request, watch: Watch, receive: Receive
    ) -> Response | Stream:
        """The answer, or a stream that has been opened. `Problem` says why there is neither."""
        form = _negotiate(request, endpoint)
        if "if-match" in request.headers and not endpoint.honours_if_match:
            raise problems.invalid([("if-match", "is not honoured by this method")])
        message = await self._message(request, endpoint, segments, receive)
        client = request.client_address(self._proxies)
        request_id = request.request_id(watch.trace_id)
        sent = metadata.sent(request, watch.traceparent, request_id, client, self._proof())
        if endpoint.route.streaming and self._leaving:
            raise problems.leaving()
        seconds = metadata.seconds(request, endpoint.max_seconds)
        started = time.monotonic()
        call = endpoint.call(message, timeout=seconds, metadata=sent)
        if endpoint.route.streaming:
            return Stream(call, endpoint.transcoder, form, endpoint.headers)
        try:
            return await self._reply(call, endpoint, receive)
        except Problem as problem:
            # The channel repeats what is safe by its method; this is safe by its key.
            if problem.status != 503 or not endpoint.route.may_have_key or not request.get("idempotency-key"):
                raise
            left = seconds - (time.monotonic() - started) - _REPEAT_AFTER
            if left < _LEAST:
                raise
        await asyncio.sleep(_REPEAT_AFTER)
        return await self._reply(endpoint.call(message, timeout=left, metadata=sent), endpoint, receive)

    async def _message(self, request: Request, endpoint: Endpoint, segments: list[str], receive: Receive) -> bytes:
        body, content_type = b"", request.get("content-type")
        if endpoint.route.body:
            if request.get("content-encoding") not in ("", "identity"):
                raise problems.unsupported_media("without a content encoding")
            body = await read_body(request, receive, endpoint.max_body_bytes)
            if body and not endpoint.transcoder.takes_upload and not media.is_json(content_type):
                raise problems.unsupported_media("application/json in UTF-8")
        return endpoint.transcoder.request(segments, request.query, body, content_type)

    async def _reply(self, call: Any, endpoint: Endpoint, receive: Receive) -> Response:
        """The answer to a call with one reply. The call ends when its caller goes away."""
        watching: list[asyncio.Future[None]] = []

        def watch_caller() -> None:
            gone = asyncio.ensure_future(wait_until_gone(receive))
            gone.add_done_callback(lambda _: call.cancel())
            watching.append(gone)

        timer = asyncio.get_running_loop().call_later(_WATCH_AFTER, watch_caller)
        try:
            raw = await call
            initial = await call.initial_metadata()
        except grpc.aio.AioRpcError as error:
            raise metadata.problem(self._registry, error) from None
        except asyncio.CancelledError:
            if watching and watching[0].done():
                raise ClientGone from None
            raise
        finally:
            timer.cancel()
            for gone in watching:
                gone.cancel()
        reply = endpoint.transcoder.reply(raw)
        cache = _REVALIDATE if reply.etag and endpoint.route.http_method == "GET" else NO_STORE
        headers = [cache, *endpoint.headers, *metadata.headers_back(initial)]
        return Response(200, reply.body, reply.content_type, headers, reply.etag)


def _negotiate(request: Request, endpoint: Endpoint) -> str:
    """The form of the answer. What cannot be answered as the caller wants it is refused before anything is done."""
    accept = request.get("accept")
    if endpoint.transcoder.gives_download:
        return ""
    if endpoint.route.streaming:
        return form_of(accept)
    if accept and media.choose(accept, (media.JSON,)) is None:
        raise problems.not_acceptable(media.JSON)
    return media.JSON
