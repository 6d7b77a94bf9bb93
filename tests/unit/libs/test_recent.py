"""What a process remembers is bounded, whatever happens to it."""

from __future__ import annotations

import gc
import json
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode, Tracer, format_trace_id

from libs.identity.service_tokens import ServiceTokens
from libs.telemetry import pages, recent, recent_page
from tests.support.people import People
from tests.support.servers import settings_for


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent.SpanMemory, "current", None)
    recent._errors.clear()


def line(level: str, message: str = "it broke", **more: str) -> dict[str, str]:
    fixed = {"timestamp": "2026-01-01T00:00:00.000Z", "component": "policies"}
    return {**fixed, "level": level, "message": message, **more}


def test_only_errors_are_remembered() -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        recent.remember_line(line(level))
    assert [one["level"] for one in recent.snapshot()["errors"]] == ["error", "critical"]


def test_the_last_fifty_errors_are_remembered_oldest_first() -> None:
    for number in range(200):
        recent.remember_line(line("error", f"number {number}"))
    assert [one["message"] for one in recent.snapshot()["errors"]] == [f"number {n}" for n in range(150, 200)]


def test_of_a_long_traceback_the_end_is_kept() -> None:
    recent.remember_line(line("error", "x" * 100_000, exception="y" * 100_000 + "ValueError: this"))
    error = recent.snapshot()["errors"][0]
    assert len(error["message"]) == len(error["cause"]) == 2000
    assert error["cause"].endswith("ValueError: this")


def test_spans_are_found_by_their_trace_and_the_latest_besides() -> None:
    memory = recent.SpanMemory("policies")
    tracer = traced(memory)
    with tracer.start_as_current_span("first") as first:
        pass
    for name in ("second", "third"):
        with tracer.start_as_current_span(name):
            pass
    trace_id = format_trace_id(first.get_span_context().trace_id)
    assert [span.name for span in memory.find([trace_id])] == ["first"]
    assert [span.name for span in memory.find([trace_id], latest=1)] == ["first", "third"]
    assert memory.find(["0" * 31 + "1"]) == []


def test_a_span_is_remembered_with_its_parent_its_process_and_its_failure() -> None:
    memory = recent.SpanMemory("policies-worker")
    tracer = traced(memory)
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner") as inner:
        inner.set_status(StatusCode.ERROR)
    spans = {span.name: span for span in memory.find(latest=2)}
    assert int(spans["inner"].parent_id, 16) == outer.get_span_context().span_id
    assert (spans["inner"].failed, spans["outer"].failed) == (True, False)
    assert spans["outer"].parent_id == ""
    assert spans["inner"].component == "policies-worker"
    assert spans["outer"].start_micros <= spans["inner"].start_micros <= spans["inner"].end_micros


def test_spans_take_less_than_a_megabyte() -> None:
    memory = recent.SpanMemory("policies")
    tracer = traced(memory)
    for number in range(2500):
        with tracer.start_as_current_span(f"bazaruto.policies.v1.PolicyService/GetPolicy {number}"):
            pass
    gc.collect()
    kept = list(memory._kept)
    assert len(kept) == 2000
    assert sum(sys.getsizeof(one) + sum(map(sys.getsizeof, one)) for one in kept) < 1_000_000


def test_only_processes_of_the_platform_are_told(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_added", {})
    recent_page.show(settings_for(people))
    recent.remember_line(line("error"))
    page = pages._added[recent_page.PATH]
    for authorization in ("", "Bearer x", people.admin().authorization, people.customer().authorization):
        assert page("", authorization)[0] == 404
    status, _, body = page("trace_id=nonsense&latest=nonsense", ServiceTokens(people.auth, "gateway").header())
    assert status == 200
    assert [one["message"] for one in json.loads(body)["errors"]] == ["it broke"]


def traced(memory: recent.SpanMemory) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(memory)
    return provider.get_tracer("test")
