"""Logs, metrics and traces of a process, started once in its main."""

from __future__ import annotations

from libs.config import Settings
from libs.telemetry import logs, metrics, stderr, traces


def start(settings: Settings, component: str) -> None:
    """Begin to log and to trace as `component`, for example `books` or `books-worker`."""
    logs.start(component, settings)
    stderr.capture()
    traces.start(component, settings)
    metrics.tell_build(component)


def stop() -> None:
    """Send what is still buffered; takes 3 seconds at most."""
    traces.stop()
