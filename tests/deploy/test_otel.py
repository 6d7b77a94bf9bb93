"""The collector takes traces, metrics and logs of every process."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deploy.configuring import settings_of
from tests.deploy.programs import DEPLOY, ROOT

COLLECTOR: dict[str, Any] = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text())
PIPELINES: dict[str, dict[str, list[str]]] = COLLECTOR["service"]["pipelines"]


def test_there_is_a_pipeline_for_each_signal() -> None:
    assert PIPELINES.keys() == {"traces", "metrics", "logs"}
    assert "otlp" in PIPELINES["traces"]["receivers"]
    assert "prometheus" in PIPELINES["metrics"]["receivers"]
    assert "filelog" in PIPELINES["logs"]["receivers"]


@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters"])
def test_every_part_is_defined_and_used(kind: str) -> None:
    used = {part for pipeline in PIPELINES.values() for part in pipeline[kind]}
    assert used == COLLECTOR[kind].keys()


@pytest.mark.parametrize("path", ["docker", "kubernetes/base", "kubernetes/overlays/development"])
def test_processes_export_every_span_so_that_the_collector_can_choose(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_of(DEPLOY / path / "config.yaml", monkeypatch).telemetry.sampling == 1
    assert PIPELINES["traces"]["processors"].index("tail_sampling") == 1  # chosen first, then batched


def test_traces_with_errors_and_slow_ones_are_always_kept_and_some_of_the_others() -> None:
    chosen = {policy["type"]: policy[policy["type"]] for policy in COLLECTOR["processors"]["tail_sampling"]["policies"]}
    assert chosen == {
        "status_code": {"status_codes": ["ERROR"]},
        "latency": {"threshold_ms": 1000},
        "probabilistic": {"sampling_percentage": "${env:TRACES_PERCENT:-10}"},
    }


def test_collector_decides_after_a_call_can_have_ended() -> None:
    wait = COLLECTOR["processors"]["tail_sampling"]["decision_wait"]
    assert wait.endswith("s")
    assert float(wait[:-1]) >= 10


@pytest.mark.parametrize("signal", PIPELINES)
def test_memory_is_limited_first_and_batches_are_made_last(signal: str) -> None:
    assert PIPELINES[signal]["processors"][0] == "memory_limiter"
    assert PIPELINES[signal]["processors"][-1] == "batch"


def test_metrics_of_every_process_are_fetched() -> None:
    (job,) = COLLECTOR["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["static_configs"] == yaml.safe_load((DEPLOY / "docker" / "targets" / "bazaruto.yml").read_text())


@pytest.mark.parametrize("path", ["docker", "kubernetes/base"])
def test_processes_send_to_the_port_that_the_collector_listens_on(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = COLLECTOR["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    endpoint = settings_of(DEPLOY / path / "config.yaml", monkeypatch).telemetry.otlp_endpoint
    assert re.fullmatch(rf"http://otel-collector(\.monitoring)?:{port}", endpoint)


def test_composition_runs_it_with_this_configuration() -> None:
    container = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["otel-collector"]
    assert container["command"] == ["--config=/etc/otel/collector.yaml"]
    assert "./deploy/otel/collector.yaml:/etc/otel/collector.yaml:ro" in container["volumes"]
    assert "collector-contrib" in container["image"]  # filelog and prometheus are not in the core


def test_log_lines_are_read_by_the_fields_that_we_write() -> None:
    parser = COLLECTOR["receivers"]["filelog"]["operators"][0]
    assert parser["timestamp"]["parse_from"] == "attributes.timestamp"
    assert parser["severity"]["parse_from"] == "attributes.level"
    assert parser["trace"]["trace_id"]["parse_from"] == "attributes.trace_id"
