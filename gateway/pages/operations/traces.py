"""Which traces are worth a look, and their spans in the order in which a waterfall shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

Span = dict[str, Any]

_LATEST = 20
_SLOWEST = 5
_FAILED = 5
_MOST_SPANS = 200  # of one trace


def choose(spans: Iterable[Span], own_paths: Collection[str]) -> list[str]:
    """The ids of the latest traces that began here, and of some that were slow or failed, latest first.

    `spans` are the gateway's own, each named by method and route; requests for its own pages are left out.
    """
    by_trace: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span["name"].partition(" ")[2] not in own_paths:
            by_trace[span["trace_id"]].append(span)
    traces = sorted(by_trace, key=lambda one: max(span["end_micros"] for span in by_trace[one]), reverse=True)
    slowest = sorted(traces, key=lambda one: max(map(_micros, by_trace[one])), reverse=True)
    failed = [one for one in traces if any(span["failed"] for span in by_trace[one])]
    chosen = {*traces[:_LATEST], *slowest[:_SLOWEST], *failed[:_FAILED]}
    return [one for one in traces if one in chosen]


def waterfalls(trace_ids: Iterable[str], spans: Iterable[Span]) -> list[dict[str, Any]]:
    """Each trace with its spans, every one below its parent."""
    by_trace: dict[str, dict[str, Span]] = defaultdict(dict)
    for span in spans:
        by_trace[span["trace_id"]][span["span_id"]] = span  # a span that two have told of is one
    return [_waterfall(one, list(by_trace[one].values())) for one in trace_ids if one in by_trace]


def _waterfall(trace_id: str, spans: list[Span]) -> dict[str, Any]:
    begin = min(span["start_micros"] for span in spans)
    shown = [
        {
            "component": span["component"],
            "name": span["name"],
            "depth": depth,
            "start_ms": (span["start_micros"] - begin) / 1000,
            "duration_ms": _micros(span) / 1000,
            "failed": span["failed"],
        }
        for depth, span in _in_order(spans)
    ]
    return {
        "trace_id": trace_id,
        "start_micros": begin,
        "duration_ms": max(span["start_ms"] + span["duration_ms"] for span in shown),
        "failed": any(span["failed"] for span in spans),
        "span_count": len(spans),
        "spans": shown[:_MOST_SPANS],
    }


def _in_order(spans: list[Span]) -> list[tuple[int, Span]]:
    """Depth first, by start. A span whose parent is not kept is a root, and so is one of a circle."""
    spans = sorted(spans, key=lambda span: span["start_micros"])
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span["parent_id"] in known:
            children[span["parent_id"]].append(span)
    roots = [span for span in spans if span["parent_id"] not in known]
    placed: dict[str, tuple[int, Span]] = {}
    for root in (*roots, *spans):
        waiting = [(0, root)]
        while waiting:
            depth, span = waiting.pop()
            if span["span_id"] not in placed:
                placed[span["span_id"]] = (depth, span)
                waiting += [(depth + 1, child) for child in reversed(children[span["span_id"]])]
    return list(placed.values())


def _micros(span: Span) -> int:
    return max(int(span["end_micros"]) - int(span["start_micros"]), 0)
