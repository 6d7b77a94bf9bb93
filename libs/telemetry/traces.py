"""Traces: OpenTelemetry spans, sent to a collector and kept in files for `bazarutod trace`.

The context travels as W3C `traceparent` in request headers, RPC metadata and job arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.config import Settings
from libs.telemetry import recent
from libs.version import VERSION

_PROPAGATOR = TraceContextTextMapPropagator()
_FILE_LIMIT = 16 << 20  # bytes; the file before the current one is kept, older ones are dropped
_LEFT_BEHIND = 4  # files of processes that have ended, which are kept for each component: the newest

tracer = trace.get_tracer("bazaruto", VERSION)


class FileSpanExporter(SpanExporter):
    """Keeps the recent spans of this process in a file, one JSON object a line."""

    def __init__(self, folder: Path, component: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._component = component
        self._path = folder / f"{component}-{os.getpid()}.jsonl"
        _prune(folder, component)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._path.exists() and self._path.stat().st_size > _FILE_LIMIT:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        with self._path.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(self._line(span), default=str) + "\n" for span in spans)
        return SpanExportResult.SUCCESS

    def _line(self, span: ReadableSpan) -> dict[str, object]:
        context = span.context
        return {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
            "parent_id": trace.format_span_id(span.parent.span_id) if span.parent else "",
            "component": self._component,
            "name": span.name,
            "kind": span.kind.name.lower(),
            "start": span.start_time,
            "end": span.end_time,
            "failed": not span.status.is_ok and not span.status.is_unset,
            "attributes": dict(span.attributes or {}),
        }


def _prune(folder: Path, component: str) -> None:
    """Drop what processes of a component have left behind, except for the newest files."""
    left: list[tuple[float, Path]] = []
    for path in folder.glob(f"{component}-*.jsonl"):
        pid = path.name.removeprefix(f"{component}-").partition(".")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):  # another component's name may begin with this one's
            with suppress(FileNotFoundError):  # another process of the component prunes too
                left.append((path.stat().st_mtime, path))
    for _, path in sorted(left)[:-_LEFT_BEHIND]:
        path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def start(component: str, settings: Settings) -> None:
    """Trace as `component`: to a collector if one is configured, to files if a folder is."""
    resource = Resource.create({"service.name": component, "service.namespace": "bazaruto", "service.version": VERSION})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.telemetry.sampling)))
    provider.add_span_processor(recent.SpanMemory(component))
    if settings.telemetry.otlp_endpoint:
        # Imported here: the exporter costs 100 ms of start-up that a process without a collector need not pay.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.telemetry.otlp_endpoint)))
    if settings.telemetry.spans_folder:
        exporter = FileSpanExporter(Path(settings.telemetry.spans_folder), component)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=300))
    trace.set_tracer_provider(provider)


def stop() -> None:
    """Send what is still buffered."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(3000)
        provider.shutdown()


class ServerSpan:
    """The span of a call that is answered, from a caller's context. Plain enter and exit: every call pays for it."""

    __slots__ = ("_span", "_token")

    def __init__(self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        self._span = tracer.start_span(name, extract(carrier), SpanKind.SERVER, attributes)

    def __enter__(self) -> Span:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        otel_context.detach(self._token)
        self._span.end()


def extract(carrier: Mapping[str, str]) -> Context:
    """The context that a caller sent."""
    return _PROPAGATOR.extract(carrier)


def inject() -> dict[str, str]:
    """The current context, to send along."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier


def current_trace_id() -> str:
    """The 32 hexadecimal digits of the current trace; empty outside of one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


@contextmanager
def attached(context: Context) -> Iterator[None]:
    """Work within a context that came from elsewhere."""
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)
