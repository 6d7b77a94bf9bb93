"""The spans that a running platform has written."""

from __future__ import annotations

import time

from bazarutod import waterfall
from tests.support.platform import Platform


def spans_of(platform: Platform, trace_id: str, awaited: set[str]) -> list[waterfall.Span]:
    """A trace, as soon as all these names, processes and ids are among its spans: they are written a moment later."""
    deadline = time.monotonic() + 60
    while True:
        spans = waterfall.load(platform.folder / "spans", trace_id)
        missing = awaited - {text for span in spans for text in (span.name, span.component, span.span_id)}
        if not missing:
            return spans
        assert time.monotonic() < deadline, missing
        time.sleep(0.1)
