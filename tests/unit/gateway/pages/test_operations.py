"""What `/ops/data` is made of: traces in order, counters by route, states of processes, alerts of two kinds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import CollectorRegistry, Counter, Histogram

from bazaruto.operations.v1 import operations_pb2 as pb
from bazaruto.users.v1 import auth_pb2 as auth_pb
from bazarutod.stack import SERVICES
from gateway.contracts import descriptors, keys
from gateway.http.observing import UNMATCHED
from gateway.http.problems import Problem
from gateway.pages import probes
from gateway.pages.operations import Operations, alerts, collecting, page, processes, traces, traffic, workers
from gateway.pages.operations import admission as admission_module
from gateway.pages.operations.admission import Admission
from gateway.pages.operations.keys import KeysUnavailable, PublishedKeys
from libs.identity.verification import public_key
from libs.telemetry.metrics import DURATION_BUCKETS
from tests.support.people import People
from tests.support.servers import free_address

OWN = collecting.OWN_PATHS


def span(trace: str, name: str, parent: str = "", begin: int = 0, end: int = 10, **more: Any) -> dict[str, Any]:
    fixed = {"trace_id": trace, "span_id": f"{trace}.{name}", "component": "gateway", "name": name, "failed": False}
    return {
        **fixed,
        "parent_id": f"{trace}.{parent}" if parent else "",
        "start_micros": begin,
        "end_micros": end,
        **more,
    }


def test_administrator_of_a_removed_key_is_let_in_no_longer_than_keys_are_trusted(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, admin = people.keys.json_web_keys(), people.admin().authorization

    async def fetch() -> dict[str, Ed25519PublicKey]:
        return {key["kid"]: public_key(key) for key in published}

    async def admit() -> None:
        admission = Admission(people.auth, fetch)
        await admission.admit(admin)
        published.clear()
        await admission.admit(admin)
        monkeypatch.setattr(admission_module, "KEYS_TRUSTED", -1.0)
        monkeypatch.setattr(admission_module, "_FETCH_AGAIN", -1.0)
        with pytest.raises(Problem) as caught:
            await admission.admit(admin)
        assert caught.value.status == 401

    asyncio.run(admit())


def test_administrator_is_asked_to_come_again_while_there_are_no_keys(people: People) -> None:
    admission = Admission(people.auth, PublishedKeys(None, {}).fetch)
    with pytest.raises(Problem) as caught:
        asyncio.run(admission.admit(people.admin().authorization))
    assert (caught.value.status, caught.value.reason) == (503, "DEPENDENCY_UNAVAILABLE")


async def fetched(answer: bytes) -> Mapping[str, Ed25519PublicKey]:
    """The keys that come of what the service answers to whoever asks its method."""
    registry = descriptors.load()
    publisher = keys.publisher(registry, SERVICES)
    assert publisher is not None
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: answer
    )
    server = grpc.aio.server()
    service, method = publisher.parent.type_name, publisher.name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(address := free_address())
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            return await PublishedKeys(publisher, {descriptors.owner(publisher): channel}).fetch()
    finally:
        await server.stop(None)


def test_keys_are_read_from_the_reply_as_a_json_web_key_set(people: People) -> None:
    published = people.keys.json_web_keys()
    answer = auth_pb.JsonWebKeySet(keys=[auth_pb.JsonWebKey(**key) for key in published])
    assert asyncio.run(fetched(answer.SerializeToString())) == people.keys.public


NO_KEY = auth_pb.JsonWebKeySet(keys=[auth_pb.JsonWebKey(kid="k")]).SerializeToString()


@pytest.mark.parametrize("answer", [b"\xff", NO_KEY])
def test_reply_without_keys_that_can_be_read_is_none(answer: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        asyncio.run(fetched(answer))


def test_own_pages_of_the_gateway_are_known_by_their_paths() -> None:
    health: Any = None
    operations = Operations.__new__(Operations)  # only asked for the names of its pages
    operations._admission = Admission.__new__(Admission)
    assert {*probes.build(health, b"", b"", "", ()), *operations.pages(), UNMATCHED} == OWN


def test_traces_of_the_gateways_own_pages_are_left_out() -> None:
    spans = [
        span("a", "GET /v1/users"),
        span("b", "GET /ops/data"),
        span("c", "GET /readyz"),
        span("d", "GET unmatched"),
    ]
    assert traces.choose(spans, OWN) == ["a"]


def test_latest_traces_come_first_and_slow_and_failed_ones_stay_longer() -> None:
    spans = [span(f"t{n}", "GET /v1/users", begin=n * 100, end=n * 100 + 10) for n in range(100)]
    spans[0]["end_micros"] = 90
    spans[1]["failed"] = True
    chosen = traces.choose(spans, OWN)
    assert chosen[:3] == ["t99", "t98", "t97"]
    assert chosen[-2:] == ["t1", "t0"]
    assert len(chosen) <= 30


def test_every_span_stands_below_its_parent_and_siblings_by_their_start() -> None:
    spans = [
        span("a", "late", "root", 6, 9),
        span("a", "leaf", "early", 3, 4),
        span("a", "early", "root", 2, 5),
        span("a", "root", "", 1, 10),
    ]
    [trace] = traces.waterfalls(["a"], spans)
    assert [(one["name"], one["depth"]) for one in trace["spans"]] == [
        ("root", 0),
        ("early", 1),
        ("leaf", 2),
        ("late", 1),
    ]
    assert trace["spans"][1]["start_ms"] == pytest.approx(0.001)
    assert trace["duration_ms"] == pytest.approx(0.009)


def test_a_span_whose_parent_is_not_kept_is_shown_all_the_same() -> None:
    [trace] = traces.waterfalls(["a"], [span("a", "orphan", "forgotten")])
    assert [(one["name"], one["depth"]) for one in trace["spans"]] == [("orphan", 0)]


def test_spans_that_name_each_other_as_parent_end_somewhere() -> None:
    [trace] = traces.waterfalls(["a"], [span("a", "one", "two"), span("a", "two", "one")])
    assert len(trace["spans"]) == 2


def test_a_span_told_twice_is_one_and_a_trace_nobody_kept_is_none() -> None:
    waterfalls = traces.waterfalls(["a", "b"], [span("a", "one"), span("a", "one")])
    assert [one["span_count"] for one in waterfalls] == [1]


def test_a_deep_and_long_trace_is_cut() -> None:
    spans = [span("a", "s0"), *(span("a", f"s{n}", f"s{n - 1}", n, n + 1) for n in range(1, 5000))]
    [trace] = traces.waterfalls(["a"], spans)
    assert (len(trace["spans"]), trace["span_count"]) == (200, 5000)


def test_requests_are_counted_by_route_without_the_gateways_own() -> None:
    registry = CollectorRegistry()
    requests = Counter("http_requests_total", "", ["method", "path", "status"], registry=registry)
    durations = Histogram(
        "http_request_duration_seconds", "", ["method", "path"], buckets=DURATION_BUCKETS, registry=registry
    )
    for path, status, seconds in (("/v1/users", "200", 0.02), ("/v1/users", "503", 20), ("/ops/data", "200", 1)):
        requests.labels("GET", path, status).inc()
        durations.labels("GET", path).observe(seconds)
    counts = traffic.count(registry.collect(), OWN)
    [route] = counts["routes"]
    assert (route["path"], route["count"], route["failed"]) == ("/v1/users", 2, 1)
    by_bound = dict(zip([*counts["bounds"], "all"], route["buckets"], strict=True))
    assert (by_bound[0.01], by_bound[0.025], by_bound[10], by_bound["all"]) == (0, 1, 1, 2)


def report(*beats: float, error: str = "") -> pb.ServiceReport:
    service_report = pb.ServiceReport(service="policies", version="1.0.0", database_error=error)
    for beat in beats:
        service_report.workers.add().silence.FromTimedelta(timedelta(seconds=beat))
    return service_report


REMEMBERED: workers.Remembered = {"errors": [], "spans": []}


@pytest.mark.parametrize(
    ("answer", "remembered", "state"),
    [
        (report(), REMEMBERED, "healthy"),
        (report(3), workers.NOWHERE, "healthy"),
        (report(3), workers.SILENT, "unknown"),
        (report(31), workers.SILENT, "down"),
        (report(), workers.NOWHERE, "down"),
        ("UNAVAILABLE", REMEMBERED, "healthy"),
        ("UNAVAILABLE", workers.SILENT, "down"),
        ("UNAVAILABLE", workers.NOWHERE, "unknown"),
        (report(error="gone"), workers.NOWHERE, "unknown"),
    ],
)
def test_a_worker_is_judged_by_its_page_and_by_its_heartbeat(answer: Any, remembered: Any, state: str) -> None:
    assert processes.worker("policies", answer, remembered, 30.0)["state"] == state


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (report(), "healthy"),
        (report(error="the database does not answer"), "unhealthy"),
        ("UNAVAILABLE", "down"),
        ("DEADLINE_EXCEEDED", "down"),
        ("UNIMPLEMENTED", "unknown"),
        ("INTERNAL", "unhealthy"),
    ],
)
def test_a_service_is_judged_by_its_report(answer: Any, state: str) -> None:
    assert processes.service("policies", answer)["state"] == state


def test_errors_of_all_processes_are_merged_latest_first_and_cut() -> None:
    def lines(component: str, *minutes: int) -> list[dict[str, str]]:
        stamps = [f"2026-01-01T00:{minute:02d}:00.000Z" for minute in minutes]
        return [{"timestamp": one, "component": component, "message": "m"} for one in stamps]

    service = pb.ServiceReport(errors=[pb.ErrorLine(**line) for line in lines("policies", 2)])
    worker = {"errors": lines("users-worker", *range(3, 60)), "spans": [span("a", "job")]}
    merged = collecting.merge(
        {"errors": lines("gateway", 1), "spans": []},
        {"policies": service, "users": "UNAVAILABLE"},
        {"users": worker, "policies": workers.SILENT},
    )
    assert len(merged["errors"]) == 50
    assert merged["errors"][0]["timestamp"] == "2026-01-01T00:59:00.000Z"
    assert [one["name"] for one in merged["spans"]] == ["job"]


def test_alerts_are_read_from_either_source() -> None:
    labels = {"alertname": "DatabaseDown", "severity": "critical"}
    notes = {"summary": "Database is down", "description": "PostgreSQL is not responding"}
    manager = [{"labels": labels, "annotations": notes, "status": {"state": "active"}, "startsAt": "2026"}]
    prometheus = {"labels": labels, "annotations": notes, "state": "firing", "activeAt": "2026"}
    alert = {"name": "DatabaseDown", "severity": "critical", "since": "2026", **notes}
    assert list(alerts.parse(manager)) == [{**alert, "state": "active"}]
    assert list(alerts.parse({"data": {"alerts": [prometheus]}})) == [{**alert, "state": "firing"}]


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    html, policy = (part.decode() for part in page.build())
    for tag in ("style", "script"):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\bsrc=|href=|\son\w+=|\sstyle=", html)


def test_the_script_makes_no_markup_of_text() -> None:
    html = page.build()[0].decode()
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "DOMParser", "localStorage"):
        assert way not in html
