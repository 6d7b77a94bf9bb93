"""Prometheus metrics that every process has, and the page that shows them.

Names and labels follow the operations guide; the OpenTelemetry names stand beside them. Labels never carry ids,
addresses or raw paths.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10)

rpc_server_duration = Histogram(
    "rpc_server_call_duration_seconds",
    "Time from the arrival of a call to its answer",
    ["rpc_method", "rpc_status_code"],
    buckets=DURATION_BUCKETS,
)
db_connections_active = Gauge(
    "bazaruto_db_connections_active", "Connections that are in use", multiprocess_mode="livesum"
)
db_connections_idle = Gauge(
    "bazaruto_db_connections_idle", "Connections that wait in the pool", multiprocess_mode="livesum"
)
db_connections_waiting = Gauge(
    "bazaruto_db_connections_waiting", "Requests that wait for a connection", multiprocess_mode="livesum"
)
db_slow_queries = Counter("bazaruto_db_slow_queries_total", "Queries slower than the configured threshold")
jobs_pending = Gauge("bazaruto_jobs_pending", "Jobs that wait to be worked on", multiprocess_mode="max")
jobs_failed = Gauge("bazaruto_jobs_failed", "Jobs that failed for good", multiprocess_mode="max")
job_duration = Histogram(
    "bazaruto_job_duration_seconds",
    "Time a job took",
    ["job", "outcome"],
    buckets=(*DURATION_BUCKETS, 30, 60),
)


def share_between_workers(folder: Path) -> None:
    """Count over several processes. Call it in the parent before any metric is made, with an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[MULTIPROCESS_FOLDER] = str(folder)


def registry() -> CollectorRegistry:
    """What `/metrics` shows: this process, or all workers together."""
    if MULTIPROCESS_FOLDER not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def serve(address: str) -> None:
    """Show the metrics at `http://address/metrics`, from a thread of its own."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), host, registry())
