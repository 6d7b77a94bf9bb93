"""The gateway as an ASGI application: finds the route, makes the call, sends the answer.

ASGI rather than RSGI, because only ASGI tells the path as it was sent: with RSGI `%2F` and `/` are the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import structlog
from protobuf import Registry

from gateway import calls
from gateway.contracts.descriptors import full_name
from gateway.contracts.routes import ANY_METHOD, Route, RouteTable
from gateway.http import conditional, media, problems, suspicion
from gateway.http.exchange import (
    ClientGone,
    Headers,
    Networks,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_body,
    send_response,
)
from gateway.http.observing import UNMATCHED, Observer, Watch
from gateway.http.problems import Problem
from gateway.pages.probes import Page
from gateway.streams import Relay, form_of, wait_until_gone
from gateway.transcode.transcoding import Transcoder

log = structlog.get_logger("gateway")

_DETAILS = "grpc-status-details-bin"
# Watching for the caller to go away costs a task; calls that are over sooner do without.
_WATCH_AFTER = 0.05  # seconds
_REPEAT_AFTER = 0.1  # seconds
_LEAST = 0.1  # seconds; with less left than this a call is not repeated
_SECURITY: Headers = [
    (b"server", b"bazaruto"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_NO_FRAMES = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_VARY = (b"vary", b"accept, accept-encoding")
_NO_STORE = (b"cache-control", b"no-store")
_NO_BUFFERING = (b"x-accel-buffering", b"no")  # a stream that nginx buffers is none
_DEPRECATION = (b"deprecation", b"true")
_REVALIDATE = (b"cache-control", b"private, no-cache")
_CLOSE = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes."""

    max_body_bytes: int = 1 << 20
    max_in_flight: int = 1000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route with all that a request on it needs."""

    route: Route
    transcoder: Transcoder
    call: Callable[..., Any]
    longest: float
    checks_token: bool
    headers: tuple[tuple[bytes, bytes], ...]


class Gateway:
    """Answers every request with one of: a page of its own, a call to a service, an AIP-193 error."""

    def __init__(
        self,
        registry: Registry,
        table: RouteTable,
        channels: Mapping[str, grpc.aio.Channel],
        pages: Mapping[str, Page],
        *,
        limits: Limits | None = None,
        proxies: Networks = (),
        encrypted: bool = False,
        proof: Callable[[], str] = str,
    ) -> None:
        self._registry = registry
        self._table = table
        self._pages = pages
        self._limits = limits or Limits()
        self._proxies = proxies
        self._proof = proof
        self._observer = Observer()
        self._fixed = [*_SECURITY, *([_HSTS] if encrypted else [])]
        self._endpoints = {route: _endpoint(route, registry, channels[route.service]) for route in table.routes}
        self._in_flight = 0
        self._streams: set[Any] = set()
        self._leaving = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        page = self._pages.get(request.path)
        endpoint, segments = (None, []) if page is not None else self._find(request)
        name = request.path if page is not None else endpoint.route.name if endpoint else UNMATCHED
        watch = Watch(request, name, token_checked=endpoint is not None and endpoint.checks_token)
        status = 500
        self._in_flight += 1
        try:
            try:
                response = await self._answer(request, page, endpoint, segments, watch, receive, send)
            except Problem as problem:
                response = self._failed(problem, watch)
            except ClientGone:
                status = 499
                return
            except Exception:
                log.exception("request failed", trace_id=watch.trace_id, span_id=watch.span_id, path=name)
                response = self._failed(problems.internal(), watch)
            status = 200 if response is None else await self._send(send, request, response, watch)
        finally:
            self._in_flight -= 1
            self._observer.end(watch, status)

    def leave(self) -> None:
        """Ask every caller to connect anew, and end every stream, as the process goes away."""
        self._leaving = True
        for call in list(self._streams):
            call.cancel()

    def _find(self, request: Request) -> tuple[Endpoint | None, list[str]]:
        method = request.method
        found = self._table.find(method, request.path)
        if found is None and method == "HEAD":
            found = self._table.find("GET", request.path)
        return (self._endpoints[found[0]], found[1]) if found else (None, [])

    async def _answer(
        self,
        request: Request,
        page: Page | None,
        endpoint: Endpoint | None,
        segments: list[str],
        watch: Watch,
        receive: Receive,
        send: Send,
    ) -> Response | None:
        """The answer, or None when a stream has been sent."""
        if request.wrong is not None:
            raise request.wrong
        if page is not None:
            if request.method in ("GET", "HEAD"):
                return await page(request)
            return self._other_method(request, {"GET"})
        if endpoint is None:
            allowed = self._table.allowed(request.path)
            if not allowed:
                raise problems.unknown_path()
            return self._other_method(request, allowed)
        if self._in_flight > self._limits.max_in_flight:
            raise problems.overloaded()
        form = self._negotiate(request, endpoint)
        message = await self._message(request, endpoint, segments, receive)
        client = request.client_address(self._proxies)
        request_id = request.request_id(watch.trace_id)
        metadata = calls.metadata(request, watch.traceparent, request_id, client, self._proof())
        if endpoint.route.streaming and self._leaving:
            raise problems.leaving()
        seconds = calls.seconds(request, endpoint.longest)
        begun = time.monotonic()
        call = endpoint.call(message, timeout=seconds, metadata=metadata)
        if endpoint.route.streaming:
            return await self._stream(call, endpoint, form, request, watch, receive, send)
        try:
            return await self._reply(call, endpoint, receive)
        except Problem as problem:
            # The channel repeats what is safe by its method; this is safe by its key.
            if problem.status != 503 or not endpoint.route.may_have_key or not request.get("idempotency-key"):
                raise
            left = seconds - (time.monotonic() - begun) - _REPEAT_AFTER
            if left < _LEAST:
                raise
        await asyncio.sleep(_REPEAT_AFTER)
        return await self._reply(endpoint.call(message, timeout=left, metadata=metadata), endpoint, receive)

    @staticmethod
    def _other_method(request: Request, allowed: set[str]) -> Response:
        names = allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())
        allow = ", ".join(sorted(names - {ANY_METHOD}))
        if request.method == "OPTIONS":
            return Response(204, headers=[(b"allow", allow.encode()), _NO_STORE])
        raise problems.method_not_allowed(allow)

    @staticmethod
    def _negotiate(request: Request, endpoint: Endpoint) -> str:
        """Refuse what cannot be answered as the caller wants it, before anything is done."""
        accept = request.get("accept")
        if endpoint.transcoder.gives_download:
            return ""
        if endpoint.route.streaming:
            return form_of(accept)
        if accept and media.choose(accept, (media.JSON,)) is None:
            raise problems.not_acceptable(media.JSON)
        return media.JSON

    async def _message(self, request: Request, endpoint: Endpoint, segments: list[str], receive: Receive) -> bytes:
        body, content_type = b"", request.get("content-type")
        if endpoint.route.body:
            if request.get("content-encoding") not in ("", "identity"):
                raise problems.unsupported_media("without a content encoding")
            body = await read_body(request, receive, self._limits.max_body_bytes)
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
            raise self._problem(error) from None
        except asyncio.CancelledError:
            if watching and watching[0].done():
                raise ClientGone from None
            raise
        finally:
            timer.cancel()
            for gone in watching:
                gone.cancel()
        reply = endpoint.transcoder.reply(raw)
        cache = _REVALIDATE if reply.etag and endpoint.route.http_method == "GET" else _NO_STORE
        headers = [cache, *endpoint.headers, *calls.headers_back(initial)]
        return Response(200, reply.body, reply.content_type, headers, reply.etag)

    async def _stream(
        self,
        call: Any,
        endpoint: Endpoint,
        form: str,
        request: Request,
        watch: Watch,
        receive: Receive,
        send: Send,
    ) -> Response | None:
        headers = [*self._common(request, watch), *endpoint.headers, _NO_STORE, _NO_FRAMES, _NO_BUFFERING]
        is_head = request.method == "HEAD"
        relay = Relay(call, endpoint.transcoder, form, headers, head_only=is_head)
        self._streams.add(call)
        problem = None
        try:
            await relay.run(send, receive)
        except grpc.aio.AioRpcError as error:
            problem = self._problem(error)
            if not relay.started:
                raise problem from None
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            if not relay.started:
                raise (problems.leaving() if self._leaving else ClientGone) from None
        except Exception:
            if not relay.started:
                raise
            log.exception("stream failed", trace_id=watch.trace_id, span_id=watch.span_id)
            problem = problems.internal()
        finally:
            self._streams.discard(call)
        await relay.finish(send, problem, watch.trace_id)
        return None

    def _problem(self, error: grpc.aio.AioRpcError) -> Problem:
        details = next((value for key, value in error.trailing_metadata() or () if key == _DETAILS), None)
        raw = details if isinstance(details, bytes) else None
        return problems.from_status(self._registry, error.code().value[0], error.details() or "", raw)

    def _failed(self, problem: Problem, watch: Watch) -> Response:
        if problem.status < 500:
            client = watch.request.client_address(self._proxies)
            suspicion.look(watch.request, problem, watch.trace_id, client)
        headers = [_NO_STORE, *problem.all_headers()]
        return Response(problem.status, problem.encoded(watch.trace_id), media.JSON, headers)

    def _common(self, request: Request, watch: Watch) -> Headers:
        return [
            *self._fixed,
            (b"traceparent", watch.traceparent.encode()),
            (b"x-trace-id", watch.trace_id.encode()),
            (b"x-request-id", request.request_id(watch.trace_id).encode("latin-1")),
        ]

    async def _send(self, send: Send, request: Request, response: Response, watch: Watch) -> int:
        """Send a whole answer: not modified, or compressed where it helps, without its body for HEAD."""
        status, body = response.status, response.body
        headers = [*self._common(request, watch), *response.headers, _VARY]
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


def _endpoint(route: Route, registry: Registry, channel: grpc.aio.Channel) -> Endpoint:
    name = full_name(route.rpc)
    call: Callable[..., Any] = channel.unary_stream(name) if route.streaming else channel.unary_unary(name)
    headers = (_DEPRECATION,) if route.rpc.deprecated else ()
    return Endpoint(route, Transcoder(route, registry), call, calls.longest(route), not route.is_public, headers)
