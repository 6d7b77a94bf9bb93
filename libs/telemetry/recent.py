"""What a process remembers of the last minutes: its errors, and the spans that it ended. Bounded, and never written.

It is for a look at `/ops`; logs and traces that must not be lost go to files and collectors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

_MOST_SPANS: Final = 2000
_MOST_ERRORS: Final = 50
_MOST_TEXT: Final = 2000  # characters of a message or of a cause
_CAUSES: Final = ("exception", "error", "reason")  # what lines call the cause, the one that tells most first
_BAD: Final = frozenset({"error", "critical"})


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """A span as it is remembered: without its attributes, which may be large."""

    trace_id: str
    span_id: str
    parent_id: str
    component: str
    name: str
    start_micros: int
    end_micros: int
    failed: bool


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """A line of the log of level `error` or above, with the end of what it says about the cause."""

    timestamp: str
    component: str
    level: str
    message: str
    cause: str
    trace_id: str


# Trace, span and parent by number, name, start and end in nanoseconds, failed: a tenth of what a whole span takes.
_Kept = tuple[int, int, int, str, int, int, bool]

_errors: deque[ErrorLine] = deque(maxlen=_MOST_ERRORS)


class SpanMemory(SpanProcessor):
    """Remembers the spans of this process."""

    current: SpanMemory | None = None  # what this process traces with, once it is started

    def __init__(self, component: str) -> None:
        self._component = component
        self._kept: deque[_Kept] = deque(maxlen=_MOST_SPANS)
        SpanMemory.current = self

    def on_end(self, span: ReadableSpan) -> None:
        """Remember it, and forget the oldest when there are too many."""
        context, parent, status = span.context, span.parent, span.status
        self._kept.append(
            (
                context.trace_id,
                context.span_id,
                parent.span_id if parent else 0,
                span.name,
                span.start_time or 0,
                span.end_time or 0,
                status.status_code is StatusCode.ERROR,
            )
        )

    def find(self, trace_ids: Collection[str] = (), latest: int = 0) -> list[EndedSpan]:
        """By their end: the spans of these traces, and the `latest` ones of whatever trace."""
        trace_numbers = {int(one, 16) for one in trace_ids}
        kept = tuple(self._kept)  # a copy, because other threads end spans meanwhile
        first = len(kept) - latest
        return [self._ended(one) for number, one in enumerate(kept) if number >= first or one[0] in trace_numbers]

    def _ended(self, kept: _Kept) -> EndedSpan:
        trace_id, span_id, parent_id, name, start, end, failed = kept
        return EndedSpan(
            trace_id=trace.format_trace_id(trace_id),
            span_id=trace.format_span_id(span_id),
            parent_id=trace.format_span_id(parent_id) if parent_id else "",
            component=self._component,
            name=name,
            start_micros=start // 1000,
            end_micros=end // 1000,
            failed=failed,
        )


def remember_line(line: Mapping[str, Any]) -> None:
    """Remember a line of the log, if it tells of an error."""
    if line["level"] not in _BAD:
        return
    cause = next((str(line[key]) for key in _CAUSES if line.get(key)), "")
    _errors.append(
        ErrorLine(
            timestamp=line["timestamp"],
            component=line["component"],
            level=line["level"],
            message=str(line["message"])[:_MOST_TEXT],
            cause=cause[-_MOST_TEXT:],
            trace_id=line.get("trace_id", ""),
        )
    )


def snapshot(trace_ids: Collection[str] = (), latest: int = 0) -> dict[str, list[dict[str, Any]]]:
    """What this process remembers, as JSON has it: errors, the spans of these traces, and the `latest` spans."""
    memory = SpanMemory.current
    spans = memory.find(trace_ids, latest) if memory else []
    return {"errors": [asdict(one) for one in tuple(_errors)], "spans": [asdict(one) for one in spans]}
