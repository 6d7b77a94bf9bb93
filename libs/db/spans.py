"""What the database was asked: a span for each query of a recorded trace, and a log line for each slow one."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import Histogram

from libs.telemetry import metrics
from libs.telemetry.traces import tracer

log = structlog.get_logger("db")

_OPERATIONS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)')


def trace_queries(engine: sa.Engine, threshold: float) -> None:
    """Watch every statement of an engine. Parameters are never recorded: they are people's data."""

    @sa.event.listens_for(engine, "before_cursor_execute")
    def begin(_conn: Any, _cursor: Any, statement: str, _params: Any, context: Any, _many: bool) -> None:
        context.observed = Observed(statement, threshold)

    @sa.event.listens_for(engine, "after_cursor_execute")
    def end(_conn: Any, _cursor: Any, _statement: str, _params: Any, context: Any, _many: bool) -> None:
        context.observed.end()

    @sa.event.listens_for(engine, "handle_error")
    def fail(context: sa.engine.ExceptionContext) -> None:
        if observed := getattr(context.execution_context, "observed", None):
            observed.end(context.original_exception)


class Observed:
    """One statement under way."""

    __slots__ = ("_span", "_started", "_statement", "_threshold")

    def __init__(self, statement: str, threshold: float) -> None:
        """Begin now; a statement that takes longer than `threshold` seconds is a slow one."""
        self._statement = statement
        self._threshold = threshold
        self._span = None
        if trace.get_current_span().is_recording():
            self._span = tracer.start_span(
                _name(statement),
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": statement[:1000]},
            )
        self._started = time.perf_counter()

    def end(self, error: BaseException | None = None) -> None:
        """Measure a statement that came to its end, or failed."""
        seconds = time.perf_counter() - self._started
        _duration(self._statement).observe(seconds)
        if self._span:
            if error is not None:
                self._span.set_status(StatusCode.ERROR, type(error).__name__)
            self._span.end()
        if seconds > self._threshold:
            metrics.db_slow_queries.inc()
            log.warning("slow query", response_time=round(seconds * 1000, 1), query=self._statement[:1000])


@lru_cache(maxsize=1024)
def _duration(statement: str) -> Histogram:
    """The histogram of a statement's verb, kept: finding it costs more than observing."""
    verb = statement.split(None, 1)[0].upper()
    return metrics.db_operation_duration.labels(verb if verb in _OPERATIONS else "OTHER")


def _name(statement: str) -> str:
    """`SQL INSERT books`: what is done to which table."""
    verb = statement.split(None, 1)[0]
    table = _TABLE.search(statement)
    return f"SQL {verb} {table[1]}" if table else f"SQL {verb}"
