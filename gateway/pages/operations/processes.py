"""Each process as the page lists it: its state in one word, and what is known besides."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from bazaruto.operations.v1 import operations_pb2 as pb
from gateway.pages.operations import workers
from libs.version import VERSION

HEALTHY, UNHEALTHY, DOWN, UNKNOWN = "healthy", "unhealthy", "down", "unknown"

# Why a service gave no report, in words. What is not here is told by its name.
_WHY = {
    "UNAVAILABLE": (DOWN, "nobody answers"),
    "DEADLINE_EXCEEDED": (DOWN, "no answer in two seconds"),
    "UNIMPLEMENTED": (UNKNOWN, "of a version that tells nothing yet"),
    "NO_SECRET": (UNKNOWN, "the gateway has no secret to ask with"),
}


def gateway(started: datetime, *, stopping: bool) -> dict[str, Any]:
    """The process that answers."""
    note = "going away" if stopping else ""
    return _process("gateway", UNHEALTHY if stopping else HEALTHY, note, VERSION, started.isoformat())


def service(name: str, report: pb.ServiceReport | str) -> dict[str, Any]:
    """A service: unhealthy when its database is."""
    if isinstance(report, str):
        state, note = _WHY.get(report, (UNHEALTHY, f"answers {report}"))
        return _process(name, state, note)
    process = _process(
        name,
        UNHEALTHY if report.database_error else HEALTHY,
        f"database: {report.database_error}" if report.database_error else "",
        report.version,
        report.start_time.ToJsonString() if report.HasField("start_time") else "",
    )
    if report.HasField("database_response_time"):
        process["database_ms"] = report.database_response_time.ToMicroseconds() / 1000
    process["pool"] = as_dict(report.pool)
    return process


def worker(
    name: str, report: pb.ServiceReport | str, remembered: workers.Remembered | str, stalled_after: float
) -> dict[str, Any]:
    """The workers of a service, by the page of one and by the heartbeats of all.

    A worker that says nothing on its page and is heard of in the database may be on another machine, or may just
    have died; `unknown` until its heartbeat is too old as well.
    """
    beats = [] if isinstance(report, str) else [one.silence.ToMicroseconds() / 1e6 for one in report.workers]
    alive = sum(beat <= stalled_after for beat in beats)
    heartbeats = f"heard of {min(beats):.0f} s ago" if beats else ""
    if alive > 1:
        heartbeats = f"{alive} workers, {heartbeats}"
    if not isinstance(remembered, str):
        return _process(f"{name}-worker", HEALTHY, heartbeats)
    if isinstance(report, str) or report.database_error:
        state = DOWN if remembered == workers.SILENT else UNKNOWN
        return _process(f"{name}-worker", state, "nobody answers, and no heartbeat can be read")
    if not alive:
        return _process(f"{name}-worker", DOWN, heartbeats or "never heard of")
    state = HEALTHY if remembered == workers.NOWHERE else UNKNOWN
    return _process(f"{name}-worker", state, f"{heartbeats}; its page cannot be read from here")


def redis(check: dict[str, Any]) -> dict[str, Any]:
    """Redis, where there is one."""
    is_healthy = check["status"] == HEALTHY
    note = f"answered in {check['response_time']}" if is_healthy else "does not answer"
    return _process("redis", HEALTHY if is_healthy else DOWN, note)


def queues(name: str, report: pb.ServiceReport | str) -> list[dict[str, Any]]:
    """The queues of a service."""
    if isinstance(report, str):
        return []
    return [
        {
            "service": name,
            "queue": queue.name,
            "pending": queue.pending,
            "doing": queue.doing,
            "failed": queue.failed,
            "oldest_due_seconds": queue.oldest_due.ToMicroseconds() / 1e6,
            "paused": queue.paused,
        }
        for queue in report.queues
    ]


def as_dict(message: Message) -> dict[str, Any]:
    """A flat message, with every field under its own name; numbers as numbers."""
    return {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}


def _process(name: str, state: str, note: str, version: str = "", started_at: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "note": note, "version": version, "started_at": started_at}
