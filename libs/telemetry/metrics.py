"""Prometheus metrics that every process has, and the page that shows them.

Names and labels follow the operations guide; the OpenTelemetry names stand beside them. Labels never carry ids,
addresses or raw paths.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import prometheus_client
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from libs.version import VERSION

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter

build_info = Gauge(
    "bazaruto_build_info",
    "What runs here; always 1",
    ["version", "component", "python_version"],
    multiprocess_mode="max",
)
log_lines_lost = Counter("bazaruto_log_lines_lost_total", "Lines that the log could not take")
rpc_server_duration = Histogram(
    "rpc_server_call_duration_seconds",
    "Time from the arrival of a call to its answer",
    ["rpc_method", "rpc_status_code"],
    buckets=DURATION_BUCKETS,
)
rpc_client_duration = Histogram(
    "rpc_client_call_duration_seconds",
    "Time from a call to a neighbour to its answer, with repetitions",
    ["rpc_method", "rpc_status_code"],
    buckets=DURATION_BUCKETS,
)
db_connections_active = Gauge(
    "bazaruto_db_connections_active", "Connections that are in use", multiprocess_mode="livesum"
)
db_connections_idle = Gauge(
    "bazaruto_db_connections_idle", "Connections that wait in the pool", multiprocess_mode="livesum"
)
db_connections_max = Gauge(
    "bazaruto_db_connections_max", "Connections that the pool may have", multiprocess_mode="livesum"
)
db_connections_waiting = Gauge(
    "bazaruto_db_connections_waiting", "Requests that wait for a connection", multiprocess_mode="livesum"
)
# OpenTelemetry's db.client.connection.count; a gauge whose name ends in _count is refused by promtool.
db_client_connections = Gauge(
    "db_client_connections", "Connections of the pool by what they do", ["state"], multiprocess_mode="livesum"
)
db_connection_timeouts = Counter(
    "bazaruto_db_connection_timeouts_total", "Requests that waited for a connection in vain"
)
db_replica_lag = Gauge(
    "bazaruto_db_replica_lag_seconds", "How far the replica is behind, where there is one", multiprocess_mode="max"
)
db_lost_races = Counter(
    "bazaruto_db_lost_races_total", "Transactions undone because another one was in the way", ["kind"]
)
db_slow_queries = Counter("bazaruto_db_slow_queries_total", "Queries slower than the configured threshold")
db_operation_duration = Histogram(
    "db_client_operation_duration_seconds",
    "Time from a query to its result",
    ["db_operation_name"],
    buckets=_QUERY_BUCKETS,
)
job_duration = Histogram(
    "bazaruto_job_duration_seconds",
    "Time a job took",
    ["job", "outcome"],
    buckets=(*DURATION_BUCKETS, 30, 60),
)

for _kind in ("deadlock", "serialization", "lock_timeout"):
    db_lost_races.labels(_kind)  # there from the start, so that the first one is an increase

_before_page: list[Callable[[], None]] = []


def tell_build(component: str) -> None:
    """Say what this process is."""
    build_info.labels(VERSION, component, platform.python_version()).set(1)


def before_page(refresh: Callable[[], None]) -> None:
    """Call `refresh` before each page: it brings gauges up to date. With copies, nobody sees their pages."""
    _before_page.append(refresh)


def not_before_page(refresh: Callable[[], None]) -> None:
    """Do not call it any more."""
    if refresh in _before_page:
        _before_page.remove(refresh)


def share_between_workers(folder: Path) -> None:
    """Have the processes that are started from now on count in a folder, which is emptied; `page` then shows them.

    What this process counts itself is not shown any more.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[MULTIPROCESS_FOLDER] = str(folder)


def forget_worker(pid: int) -> None:
    """A process that shared its metrics is gone: its gauges go too, what it counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def registry() -> CollectorRegistry:
    """What `/metrics` shows: this process, or all workers together."""
    if MULTIPROCESS_FOLDER not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def page() -> bytes:
    """The metrics as Prometheus reads them."""
    for refresh in tuple(_before_page):
        refresh()
    return generate_latest(registry())
