"""`bazarutod trace`: the spans of one trace as a waterfall, from the files that the processes keep."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BAR = 24  # characters
_WIDTH = 120  # characters, where the output is no terminal
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")


@dataclass
class Span:
    """One span, with the spans below it. Times are nanoseconds since the epoch."""

    span_id: str
    parent_id: str
    component: str
    name: str
    start: int
    end: int
    failed: bool
    raw: dict[str, Any]
    children: list[Span] = field(default_factory=list)


def run(trace_id: str, folder: Path, as_json: bool) -> None:
    """Print the trace; exit with 1 when none of its spans is kept any more."""
    if not re.fullmatch(r"[0-9a-f]{32}", trace_id):
        sys.exit("A trace id is 32 hexadecimal digits.")
    spans = load(folder / "spans", trace_id)
    if not spans:
        sys.exit(f"No span of {trace_id} is kept in {folder / 'spans'}: unknown, not sampled, or too old.")
    if as_json:
        print(json.dumps([span.raw for span in spans], indent=2))
    else:
        show(spans)


def show(spans: list[Span]) -> None:
    """Print a trace as wide as the terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(waterfall(spans))


def load(folder: Path, trace_id: str) -> list[Span]:
    """All kept spans of a trace, by start."""
    spans = [
        Span(
            span_id=line["span_id"],
            parent_id=line["parent_id"],
            component=line["component"],
            name=line["name"],
            start=line["start"],
            end=line["end"],
            failed=line["failed"],
            raw=line,
        )
        for path in folder.glob("*.jsonl")
        for line in _lines(path, trace_id)
    ]
    return sorted(spans, key=lambda span: span.start)


def waterfall(spans: list[Span]) -> Table:
    """A table with a bar for each span: where in the trace it lies, and how long it took."""
    begin = min(span.start for span in spans)
    length = max(max(span.end for span in spans) - begin, 1)
    colours = dict(zip(dict.fromkeys(span.component for span in spans), _COLOURS * 3, strict=False))
    table = Table(
        box=None, expand=True, pad_edge=False, title=f"trace {spans[0].raw['trace_id']}", title_justify="left"
    )
    table.add_column("process", no_wrap=True, min_width=max(len(name) for name in colours))
    table.add_column("span", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("start ms", justify="right", no_wrap=True, min_width=8)
    table.add_column("time ms", justify="right", no_wrap=True, min_width=7)
    table.add_column("", no_wrap=True, min_width=_BAR)
    for depth, span in _in_order(_roots(spans)):
        offset = min((span.start - begin) * _BAR // length, _BAR - 1)
        width = max(1, (span.end - span.start) * _BAR // length)
        table.add_row(
            Text(span.component, colours[span.component]),
            Text("  " * depth + _short(span.name), "red" if span.failed else ""),
            f"{(span.start - begin) / 1e6:.1f}",
            f"{(span.end - span.start) / 1e6:.1f}",
            Text(" " * offset + "█" * width, colours[span.component]),
        )
    return table


def _lines(path: Path, trace_id: str) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if trace_id in line and line.endswith("\n"):
                yield json.loads(line)


def _roots(spans: list[Span]) -> list[Span]:
    """Hang every span below its parent; what has none, or one that is not kept, is a root."""
    by_id = {span.span_id: span for span in spans}
    roots: list[Span] = []
    for span in spans:
        parent = by_id.get(span.parent_id)
        (parent.children if parent else roots).append(span)
    return roots


def _in_order(spans: Iterable[Span], depth: int = 0) -> Iterator[tuple[int, Span]]:
    for span in spans:
        yield depth, span
        yield from _in_order(span.children, depth + 1)


def _short(name: str) -> str:
    """`PolicyService/GetPolicy` of `bazaruto.policies.v1.PolicyService/GetPolicy`."""
    return re.sub(r"\bbazaruto\.\w+\.v\d+\.", "", name)
