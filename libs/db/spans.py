"""What the database was asked: a span for each query of a recorded trace, and a log line for each slow one."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from libs.telemetry import metrics
from libs.telemetry.traces import tracer

log = structlog.get_logger("db")

_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)')


def trace_queries(engine: sa.Engine, slow: timedelta) -> None:
    """Watch every statement of an engine. Parameters are never recorded: they are people's data."""
    threshold = slow.total_seconds()

    @sa.event.listens_for(engine, "before_cursor_execute")
    def begin(_conn: Any, _cursor: Any, statement: str, _params: Any, context: Any, _many: bool) -> None:
        context.begun = time.perf_counter()
        if trace.get_current_span().is_recording():
            context.span = tracer.start_span(
                _name(statement),
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": statement[:1000]},
            )

    @sa.event.listens_for(engine, "after_cursor_execute")
    def end(_conn: Any, _cursor: Any, statement: str, _params: Any, context: Any, _many: bool) -> None:
        seconds = time.perf_counter() - context.begun
        if span := getattr(context, "span", None):
            span.end()
        if seconds > threshold:
            metrics.db_slow_queries.inc()
            log.warning("slow query", response_time=round(seconds * 1000, 1), query=statement[:1000])

    @sa.event.listens_for(engine, "handle_error")
    def fail(context: sa.engine.ExceptionContext) -> None:
        if span := getattr(context.execution_context, "span", None):
            span.set_status(StatusCode.ERROR, type(context.original_exception).__name__)
            span.end()


def _name(statement: str) -> str:
    """`SQL INSERT policies`: what is done to which table."""
    verb = statement.split(None, 1)[0]
    table = _TABLE.search(statement)
    return f"SQL {verb} {table[1]}" if table else f"SQL {verb}"
