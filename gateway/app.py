"""The gateway as an ASGI application: finds what a request is for, calls its service, sends the answer.

ASGI rather than RSGI, because only ASGI tells the path as it was sent: with RSGI `%2F` and `/` are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc.aio
import structlog
from protobuf import Registry

from gateway import endpoints
from gateway.calling import Caller
from gateway.contracts.routes import RouteTable
from gateway.finding import Finder
from gateway.http import problems
from gateway.http.exchange import ClientGone, Networks, Page, Receive, Request, Response, Scope, Send
from gateway.http.observing import Observer, Watch
from gateway.http.problems import Problem
from gateway.sending import Sender
from gateway.streams import Stream

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes."""

    max_body_bytes: int = 1 << 20
    max_in_flight: int = 1000


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
        limits = limits or Limits()
        self._finder = Finder(pages, table, endpoints.build(table.routes, registry, channels, limits.max_body_bytes))
        self._caller = Caller(registry, proxies, proof)
        self._sender = Sender(registry, proxies, encrypted=encrypted)
        self._observer = Observer()
        self._max_in_flight = limits.max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        name, page, endpoint, segments = self._finder.find(request)
        watch = Watch(request, name, token_checked=endpoint is not None and endpoint.checks_token)
        status = 500
        self._in_flight += 1
        try:
            answer: Response | Stream
            try:
                if request.wrong is not None:
                    raise request.wrong
                if endpoint is not None:
                    if self._in_flight > self._max_in_flight:
                        raise problems.overloaded()
                    answer = await self._caller.call(endpoint, segments, request, watch, receive)
                elif page is not None:
                    answer = await page(request)
                else:
                    answer = self._finder.other(request)
            except Problem as problem:
                answer = self._sender.problem(problem, watch)
            except ClientGone:
                raise
            except Exception:
                log.exception("request failed", trace_id=watch.trace_id, span_id=watch.span_id, path=name)
                answer = self._sender.problem(problems.internal(), watch)
            if isinstance(answer, Stream):
                status = await self._sender.relay(answer, watch, receive, send)
            else:
                status = await self._sender.send(answer, watch, send)
        except ClientGone:
            status = 499
        finally:
            self._in_flight -= 1
            self._observer.end(watch, status)

    def leave(self) -> None:
        """Ask every caller to connect anew, and end every stream, as the process goes away."""
        self._caller.leave()
        self._sender.leave()
