"""What the gateway has counted of requests, by route. Counters only: rates are made by who compares two answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from prometheus_client import Metric

from libs.telemetry.metrics import DURATION_BUCKETS

_REQUESTS = "http_requests"
_DURATIONS = "http_request_duration_seconds"
_MOST_ROUTES = 60


def count(families: Iterable[Metric], own_paths: Collection[str]) -> dict[str, Any]:
    """Requests, those answered with 5xx, and how many took how long, for each route that is not the gateway's own.

    `buckets` counts the requests that took at most the bound of the same place, and then all.
    """
    routes: dict[tuple[str, str], dict[str, Any]] = {}
    places = {float(bound): place for place, bound in enumerate((*DURATION_BUCKETS, float("inf")))}
    for family in families:
        if family.name not in (_REQUESTS, _DURATIONS):
            continue
        for sample in family.samples:
            method, path = sample.labels.get("method", ""), sample.labels.get("path", "")
            if path in own_paths:
                continue
            route = routes.setdefault((method, path), _empty(method, path, len(places)))
            if sample.name == f"{_REQUESTS}_total":
                route["count"] += sample.value
                route["failed"] += sample.value if sample.labels["status"].startswith("5") else 0
            elif sample.name == f"{_DURATIONS}_bucket":
                route["buckets"][places[float(sample.labels["le"])]] += sample.value
    busiest = sorted(routes.values(), key=lambda route: -route["count"])
    return {"bounds": list(DURATION_BUCKETS), "routes": busiest[:_MOST_ROUTES]}


def _empty(method: str, path: str, buckets: int) -> dict[str, Any]:
    return {"method": method, "path": path, "count": 0, "failed": 0, "buckets": [0] * buckets}
