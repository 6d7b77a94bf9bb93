"""Logs: one JSON object a line, from this program and from the libraries alike.

Every line carries `timestamp`, `level`, `message`, `service`, `component` and `version`, and `trace_id` and
`span_id` when it was written within a span. `response_time` is a number of milliseconds. An `email` is written as
`log_email` says. While a process runs, SIGHUP makes it open its log file anew, and SIGUSR2 turns debugging on or off.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from opentelemetry import trace
from pydantic_core import to_json

from libs import clock
from libs.config import Settings
from libs.telemetry import recent
from libs.telemetry.sink import Sink, SinkLogger, SinkStream
from libs.version import VERSION

Event = MutableMapping[str, Any]

# Library loggers that say at `info` what the request line or the job line says already.
_CHATTY = ("alembic", "granian", "httpx", "procrastinate", "psycopg.pool")
_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical"}
_METHODS = ("debug", "adebug", "info", "ainfo", "warning", "awarning", "warn", "awarn", "is_enabled_for")


class _Renderer:
    """Turns an event into its line. One step instead of a chain of processors, because it runs on every request."""

    def __init__(self, component: str, email: str) -> None:
        self._fixed = {"service": "bazaruto", "component": component, "version": VERSION}
        self._email = email
        self._second = 0
        self._stamp = ""

    def __call__(self, _logger: Any, method: str, event: Event) -> str:
        line: dict[str, Any] = {
            "timestamp": self._now(),
            "level": _LEVELS.get(method, method),
            "message": event.pop("event", ""),
            **self._fixed,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        if "email" in event:
            event["email"] = shown_email(str(event["email"]), self._email)
        if event.get("exc_info"):
            event = structlog.processors.format_exc_info(None, method, event)
        line.update(event)
        recent.remember_line(line)
        return to_json(line, fallback=str, inf_nan_mode="strings").decode()

    def _now(self) -> str:
        """The time in UTC with milliseconds. The second is formatted once, as hundreds of lines may fall into it."""
        now = clock.real_nanoseconds()
        second = now // 1_000_000_000
        if second != self._second:
            self._stamp = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._second = second
        return f"{self._stamp}.{now // 1_000_000 % 1000:03d}Z"


def shown_email(email: str, rule: str) -> str:
    """An address as logs may show it: `full`, `masked` (`a***@example.com`) or `hidden` (`***`)."""
    if rule == "full":
        return email
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}***@{domain}" if rule == "masked" and at else "***"


class Levels:
    """From which level on a process logs: as configured, or everything while somebody looks for a fault."""

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self.now = configured
        # The methods of this class are exchanged, so that a level that is off costs a call of nothing.
        self.logger_class = type("Logger", (structlog.make_filtering_bound_logger(configured),), {})

    def set(self, level: int) -> None:
        """Log from this level on, in loggers that exist already too."""
        self.now = level
        source = structlog.make_filtering_bound_logger(level)
        for name in _METHODS:
            setattr(self.logger_class, name, getattr(source, name))
        logging.getLogger().setLevel(level)
        for name in _CHATTY:
            logging.getLogger(name).setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))

    def toggle(self) -> None:
        """Turn debugging on, or go back to what is configured."""
        self.set(logging.DEBUG if self.now != logging.DEBUG else max(self._configured, logging.INFO))
        structlog.get_logger("logs").warning("log level changed", log_level=logging.getLevelName(self.now).lower())


def start(component: str, settings: Settings) -> None:
    """Log as `component` to standard output, or to a file, whatever the process and its libraries say."""
    sink = Sink(settings.log_file)
    renderer = _Renderer(component, settings.log_email)
    levels = Levels(logging.getLevelNamesMapping()[settings.log_level.upper()])
    structlog.configure(
        processors=[renderer],
        wrapper_class=levels.logger_class,
        logger_factory=lambda *_: SinkLogger(sink),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(SinkStream(sink))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render_foreign(renderer)],
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    levels.set(levels.now)
    _log_what_nobody_catches()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: sink.reopen())
        signal.signal(signal.SIGUSR2, lambda *_: levels.toggle())
    if sink.refused:
        structlog.get_logger("logs").error("log file cannot be written", file=settings.log_file, error=sink.refused)


def _log_what_nobody_catches() -> None:
    """Warnings of Python and the errors that end a thread or the process become lines like any other."""
    logging.captureWarnings(capture=True)
    log = structlog.get_logger("uncaught")

    def end_of_process(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught exception", exc_info=(kind, error, where))

    def end_of_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is None or issubclass(failure.exc_type, SystemExit):
            return
        name = failure.thread.name if failure.thread else ""
        log.critical(
            "uncaught exception", thread=name, exc_info=(failure.exc_type, failure.exc_value, failure.exc_traceback)
        )

    def unraisable(failure: Any) -> None:
        error = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        log.error("exception ignored", about=repr(failure.object), exc_info=error)

    sys.excepthook = end_of_process
    threading.excepthook = end_of_thread
    sys.unraisablehook = unraisable


def _render_foreign(renderer: _Renderer) -> structlog.types.Processor:
    """Render a line of a library: its level stands in the event."""

    def render(logger: Any, _method: str, event: Event) -> str:
        return renderer(logger, str(event.pop("level", "info")), event)

    return render
