"""Logs: one JSON object a line, from this program and from the libraries alike.

Every line carries `timestamp`, `level`, `message`, `service`, `component` and `version`, and `trace_id` and
`span_id` when it was written within a span.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from libs.version import VERSION

Event = MutableMapping[str, Any]

# Library loggers that say at `info` what the request line or the job line says already.
_CHATTY = ("alembic", "granian", "httpx", "procrastinate", "psycopg.pool")


class _Renderer:
    """Turns an event into its line. One step instead of a chain of processors, because it runs on every request."""

    def __init__(self, component: str) -> None:
        self._fixed = {"service": "bazaruto", "component": component, "version": VERSION}

    def __call__(self, _logger: Any, method: str, event: Event) -> str:
        now = datetime.now(UTC)
        line: dict[str, Any] = {
            "timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
            "level": "warning" if method == "warn" else "error" if method == "exception" else method,
            "message": event.pop("event", ""),
            **self._fixed,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        line.update(event)
        return json.dumps(line, default=str, ensure_ascii=False)


def start(component: str, level: str, file: str = "") -> None:
    """Log as `component` to standard output, or to `file`, from `level` on."""
    out: TextIO = open(file, "a", buffering=1, encoding="utf-8") if file else sys.stdout  # noqa: SIM115
    renderer = _Renderer(component)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _render_foreign(renderer),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING) if level != "debug" else threshold)


def _render_foreign(renderer: _Renderer) -> structlog.types.Processor:
    """Render a line of a library: its level stands in the event."""

    def render(logger: Any, _method: str, event: Event) -> str:
        return renderer(logger, str(event.pop("level", "info")), event)

    return render
