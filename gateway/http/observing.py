"""One span, one line in the log and one observation for every request.

Names of paths are the templates of the routes, so that neither metrics nor span names grow with the ids in them.
"""

from __future__ import annotations

import base64
import json
import random
import time
from functools import lru_cache

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from prometheus_client import Counter, Histogram

from gateway.http.exchange import Request
from libs.telemetry import traces
from libs.telemetry.metrics import DURATION_BUCKETS

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ROOT = Context()  # nothing of another request

requests_total = Counter("http_requests_total", "HTTP requests answered", ["method", "path", "status"])
request_duration = Histogram(
    "http_request_duration_seconds",
    "Time from a request's headers to the end of its answer",
    ["method", "path"],
    buckets=DURATION_BUCKETS,
)

server_duration = Histogram(
    "http_server_request_duration_seconds",
    "The same time by the name and the labels of OpenTelemetry",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=DURATION_BUCKETS,
)

log = structlog.get_logger("gateway.access")


class Watch:
    """A request that is being answered. `token_checked` says that whoever answers it refuses a bad token."""

    __slots__ = ("method", "path", "request", "span", "span_id", "started", "token_checked", "trace_id", "traceparent")

    def __init__(self, request: Request, path: str, *, token_checked: bool) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.path = path
        self.token_checked = token_checked
        self.method = request.method if request.method in _METHODS else "OTHER"
        given = request.headers.get("traceparent")
        carrier = {"traceparent": given, "tracestate": request.get("tracestate")} if given else None
        self.span: Span = traces.tracer.start_span(
            f"{self.method} {path}",
            context=traces.extract(carrier) if carrier else _ROOT,
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": self.method,
                "http.route": path,
                "url.path": request.path,
                "url.scheme": request.scheme,
                "client.address": request.peer,
            },
        )
        context = self.span.get_span_context()
        if context.is_valid:
            self.trace_id, self.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            flags = int(context.trace_flags)
        else:  # tracing is not started
            self.trace_id = f"{random.getrandbits(128):032x}"
            self.span_id = f"{random.getrandbits(64):016x}"
            flags = 0
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-{flags:02x}"


class Observer:
    """Ends what `Watch` began. Metric children are kept: looking up labels costs more than counting."""

    def __init__(self) -> None:
        self._by_status: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def end(self, watch: Watch, status: int) -> None:
        """Count, time and log a request that is answered with this status."""
        seconds = time.perf_counter() - watch.started
        key = (watch.method, watch.path, status)
        metrics = self._by_status.get(key)
        if metrics is None:
            labels = (watch.method, watch.path, str(status))
            metrics = self._by_status[key] = requests_total.labels(*labels), server_duration.labels(*labels)
        metrics[0].inc()
        metrics[1].observe(seconds)
        duration = self._durations.get(key[:2])
        if duration is None:
            duration = self._durations[key[:2]] = request_duration.labels(*key[:2])
        duration.observe(seconds)
        span = watch.span
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()
        log_fields: dict[str, object] = {
            "method": watch.method,
            "path": watch.path,
            "status": status,
            "response_time": round(seconds * 1000, 2),
            "trace_id": watch.trace_id,
            "span_id": watch.span_id,
        }
        if watch.token_checked and status < 400:
            token = watch.request.headers.get("authorization")
            if token and (user := subject(token)):
                log_fields["user_id"] = user
        log.info("request", **log_fields)


@lru_cache(maxsize=4096)
def subject(authorization: str) -> str:
    """Whom a token is about, for the log. Only asked once a service has accepted the token."""
    parts = authorization.split(".")
    if len(parts) != 3 or len(authorization) > 4096:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return str(claims["sub"])[:64]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
