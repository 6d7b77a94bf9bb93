"""`/ops` through the real gateway process: who may see it, and what it says when others do not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bazaruto.operations.v1 import operations_pb2 as pb
from tests.integration.gateway.operated import HANGS, Operated, answering, operated
from tests.support.people import People, Person


@pytest.fixture(scope="module")
def platform(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A gateway in front of stand-ins, for all tests that change none of it."""
    with operated(tmp_path_factory.mktemp("operated"), people) as running:
        yield running


def ask(platform: Operated, person: Person | None, path: str = "/ops/data") -> httpx.Response:
    with platform.gateway.client() as client:
        return client.get(path, headers={"authorization": person.authorization} if person else {})


def figures(platform: Operated, people: People) -> dict[str, Any]:
    answer = ask(platform, people.admin())
    assert answer.status_code == 200
    return dict(answer.json())


def test_figures_without_a_token_are_refused(platform: Operated) -> None:
    answer = ask(platform, None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_figures_with_a_token_of_nobody_are_refused(platform: Operated, tmp_path: Path) -> None:
    for stranger in (Person("Bearer nonsense"), People(tmp_path).admin()):
        assert ask(platform, stranger).status_code == 401


def test_figures_are_not_for_customers_nor_for_services(platform: Operated, people: People) -> None:
    for person in (people.customer(), people.service("policies")):
        answer = ask(platform, person)
        assert answer.status_code == 403
        assert answer.json()["error"]["details"][0]["reason"] == "ACCESS_DENIED"


def test_figures_are_for_administrators_and_are_kept_nowhere(platform: Operated, people: People) -> None:
    answer = ask(platform, people.admin())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_itself_holds_nothing_and_may_load_nothing(platform: Operated) -> None:
    answer = ask(platform, None, "/ops")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    with platform.gateway.client() as client:
        assert client.post("/ops/data").status_code == 405


def test_a_dead_and_a_hanging_service_are_down_and_hold_nobody_up(platform: Operated, people: People) -> None:
    ask(platform, people.admin())
    started = time.monotonic()
    ops_data = figures(platform, people)
    assert time.monotonic() - started < min(3.0, HANGS)
    states = {process["name"]: (process["state"], process["note"]) for process in ops_data["processes"]}
    assert states["gateway"] == ("healthy", "")
    assert states["users"][0] == "healthy"
    assert states["policies"] == ("down", "nobody answers")
    assert states["payments"] == ("down", "no answer in two seconds")
    assert states["policies-worker"][0] == "down"


def test_services_are_asked_by_the_gateway_in_its_own_name(platform: Operated, people: People) -> None:
    figures(platform, people)
    _, metadata = platform.users.asked[-1]
    assert people.verifier().is_service(metadata["authorization"], "gateway")


def test_traces_join_the_spans_of_the_gateway_and_of_the_services(platform: Operated, people: People) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with platform.gateway.client() as client:
        sent = client.get("/.well-known/jwks.json", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert sent.status_code == 200
    start_micros = int(time.time() * 1e6)
    span = pb.Span(trace_id=trace_id, span_id="1" * 16, parent_id="2" * 16, component="users", name="SQL SELECT")
    span.start_micros, span.end_micros = start_micros, start_micros + 1500
    platform.users.report.spans.append(span)
    try:
        ops_data = figures(platform, people)
    finally:
        del platform.users.report.spans[:]
    assert trace_id in platform.users.asked[-1][0].trace_ids
    [trace] = [one for one in ops_data["traces"] if one["trace_id"] == trace_id]
    assert {(one["component"], one["name"]) for one in trace["spans"]} == {
        ("gateway", "GET /.well-known/jwks.json"),
        ("users", "SQL SELECT"),
    }
    assert any(route["path"] == "/.well-known/jwks.json" for route in ops_data["requests"]["routes"])


def test_without_a_source_of_alerts_the_figures_say_so(platform: Operated, people: People) -> None:
    assert figures(platform, people)["alerts"] == {"configured": False, "error": "", "alerts": []}


def test_several_workers_of_the_gateway_speak_with_one_voice(people: People, tmp_path: Path) -> None:
    alert = {"labels": {"alertname": "DatabaseDown", "severity": "critical"}, "status": {"state": "active"}}
    with answering([alert]) as url, operated(tmp_path, people, workers=2, alerts=url) as platform:
        for _ in range(20):  # a connection each, so that both workers get some
            with platform.gateway.client() as client:
                assert client.get("/.well-known/jwks.json").status_code == 200
        ops_data = figures(platform, people)
    [route] = [one for one in ops_data["requests"]["routes"] if one["path"] == "/.well-known/jwks.json"]
    assert route["count"] == 20
    assert len(ops_data["traces"]) == 20
    assert [one["name"] for one in ops_data["alerts"]["alerts"]] == ["DatabaseDown"]


def test_a_source_of_alerts_that_hangs_or_talks_nonsense_is_told_and_not_waited_for(
    people: People, tmp_path: Path
) -> None:
    for document, seconds in (({"unexpected": 1}, 0), ([], HANGS)):
        with answering(document, seconds) as url, operated(tmp_path, people, alerts=url) as platform:
            started = time.monotonic()
            alerts = figures(platform, people)["alerts"]
            assert time.monotonic() - started < 4
        assert alerts["configured"]
        assert alerts["error"].startswith("no list of alerts there")
