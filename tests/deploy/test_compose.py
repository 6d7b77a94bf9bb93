"""docker-compose.yml runs exactly the processes of bazarutod/stack.py, and confines each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazarutod.stack import CALLS, PROCESSES, SERVICES, Process
from tests.deploy.configuring import settings_of
from tests.deploy.programs import DEPLOY, ROOT, run

COMPOSITION = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSITION["services"]
MIGRATIONS = {f"migrate-{name}" for name in SERVICES}
SUPPLIES = {
    "postgres", "redis", "postgres-exporter", "redis-exporter", "otel-collector", "prometheus", "grafana",
    "backup", "backup-metrics",
}  # fmt: skip

by_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
by_container = pytest.mark.parametrize("name", CONTAINERS)


def test_every_process_has_a_container_and_the_rest_is_known() -> None:
    assert CONTAINERS.keys() == {process.name for process in PROCESSES} | MIGRATIONS | SUPPLIES


@by_process
def test_container_runs_its_process(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    front = "gateway" if process.name == "gateway" else process.service
    assert CONTAINERS[process.name]["command"] == [process.verb, front]
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch)
    if process.name == "gateway":
        address = settings.gateway.listen
    else:
        listens = settings.services[process.service]
        address = listens.metrics if process.verb == "serve" else listens.worker_metrics
    asked = address.replace("0.0.0.0", "127.0.0.1")
    assert CONTAINERS[process.name]["healthcheck"]["test"] == ["CMD", "bazarutod", "health", asked]


@by_process
def test_container_starts_after_what_it_needs(process: Process) -> None:
    waits = CONTAINERS[process.name]["depends_on"]
    assert {name for name in waits if waits[name]["condition"] == "service_healthy"} == set(process.needs)
    migrated = set() if process.name == "gateway" else {f"migrate-{process.service}"}
    assert {n for n in waits if waits[n]["condition"] == "service_completed_successfully"} == migrated


@by_process
def test_container_knows_only_its_own_secrets(process: Process) -> None:
    container = CONTAINERS[process.name]
    own = set() if process.name == "gateway" else {f"db-url-{process.service}"}
    own |= {"mail-password"} if process.name == "users-worker" else set()
    assert set(container["secrets"]) == {"internal"} | own
    for folder in ("secrets/keys", "secrets/fields"):
        keys = [volume for volume in container["volumes"] if folder in volume]
        assert bool(keys) == (process.name == "users")


@by_process
def test_neighbours_are_on_the_same_network(process: Process) -> None:
    for callee in CALLS[process.name]:
        assert "inside" in CONTAINERS[process.name]["networks"]
        assert "inside" in CONTAINERS[callee]["networks"]


@by_container
def test_container_is_confined(name: str) -> None:
    container = CONTAINERS[name]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["pids_limit"] <= 200
    assert container["mem_limit"]
    assert "privileged" not in container
    assert not any("docker.sock" in str(volume) for volume in container.get("volumes", []))


@by_container
def test_container_tells_whether_it_is_well(name: str) -> None:
    # A migration ends; the collector's image holds no program that could ask.
    is_asked = "test" in CONTAINERS[name].get("healthcheck", {})
    assert is_asked == (name not in MIGRATIONS | {"otel-collector"})


@by_container
def test_no_password_stands_in_an_environment(name: str) -> None:
    for key, value in CONTAINERS[name].get("environment", {}).items():
        secret = any(word in key for word in ("PASSWORD", "PASS", "SECRET", "DB_URL"))
        assert not secret or (key.endswith("_FILE") and resolved(value, MAIL_USERNAME="a").startswith("/run/secrets/"))


def test_ports_are_open_on_this_machine_only() -> None:
    for container in CONTAINERS.values():
        assert all(port.startswith("127.0.0.1:") for port in container.get("ports", []))


def test_only_those_who_talk_to_the_world_are_on_the_edge() -> None:
    assert COMPOSITION["networks"]["inside"]["internal"] is True
    outside = {name for name, container in CONTAINERS.items() if "edge" in container["networks"]}
    assert outside == {"gateway", "users-worker", "otel-collector", "prometheus", "grafana", "backup"}


def test_mounted_files_exist() -> None:
    for container in CONTAINERS.values():
        for volume in container.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith("./") or source.startswith("./secrets/") or (ROOT / source).exists(), source


def test_configuration_is_accepted_and_listens_to_every_container(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch)
    assert settings.environment == "production"
    for name, service in settings.services.items():
        assert service.target == f"dns:///{name}:{service.listen.rpartition(':')[2]}"
        assert service.listen.startswith("0.0.0.0:")


def test_gateway_finds_what_workers_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**CONTAINERS["gateway"]["environment"]}
    given.pop("BAZARUTO_CONFIG")
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch, **given)
    for process in PROCESSES:
        if process.verb == "work":
            address = settings.services[process.service].worker_metrics
            assert address == where_metrics_are(process, settings)


def test_prometheus_fetches_from_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch)
    targets = yaml.safe_load((DEPLOY / "docker" / "targets" / "bazaruto.yml").read_text())
    targets_by_process = {target["labels"]["process"]: target["targets"] for target in targets}
    assert targets_by_process == {process.name: [where_metrics_are(process, settings)] for process in PROCESSES}


def where_metrics_are(process: Process, settings: Any) -> str:
    """HOST:PORT of a process's metrics, by the name of its container."""
    if process.name == "gateway":
        return f"gateway:{settings.gateway.listen.rpartition(':')[2]}"
    service = settings.services[process.service]
    address = service.metrics if process.verb == "serve" else service.worker_metrics
    return f"{process.name}:{address.rpartition(':')[2]}"


def test_secrets_that_a_container_names_are_given_to_it() -> None:
    for name, container in CONTAINERS.items():
        named = set(re.findall(r"/run/secrets/([\w-]+)", str(container)))
        assert named - {"keys", "fields"} <= set(container.get("secrets", [])) <= COMPOSITION["secrets"].keys(), name


@pytest.mark.parametrize("given", [{}, {"MAIL_HOST": "smtp.example.com", "MAIL_USERNAME": "no-reply@example.com"}])
def test_letters_are_sent_when_a_server_is_named(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = CONTAINERS["users-worker"]["environment"]
    mail = {name: resolved(value, **given) for name, value in environment.items() if name.startswith("BAZARUTO_MAIL")}
    settings = settings_of(DEPLOY / "docker" / "config.yaml", monkeypatch, **mail).mail
    assert (settings.host, settings.username) == (given.get("MAIL_HOST", ""), given.get("MAIL_USERNAME", ""))
    assert settings.password_file == ("/run/secrets/mail-password" if given else "")


def resolved(text: str, **variables: str) -> str:
    """Text as compose reads it, with these variables set and no others."""
    text = re.sub(r"\$\{(\w+):\+([^}]*)\}", lambda match: match[2] if variables.get(match[1]) else "", text)
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: variables.get(match[1]) or match[2], text)


def test_grafana_shows_every_dashboard_from_a_source_that_it_has() -> None:
    mounted = dict(volume.split(":")[:2][::-1] for volume in CONTAINERS["grafana"]["volumes"])
    (source,) = yaml.safe_load(
        (ROOT / mounted["/etc/grafana/provisioning"] / "datasources/prometheus.yaml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in CONTAINERS
    (provider,) = yaml.safe_load(
        (ROOT / mounted["/etc/grafana/provisioning"] / "dashboards/bazaruto.yaml").read_text()
    )["providers"]
    dashboards = list((ROOT / mounted[provider["options"]["path"]]).glob("*.json"))
    assert len(dashboards) >= 7
    for path in dashboards:
        asked = re.findall(r'"uid": "([^"]+)"', json.dumps(json.loads(path.read_text()).get("panels")))
        assert set(asked) <= {source["uid"], "-- Grafana --"}, path.name


def test_prometheus_has_every_file_that_it_is_configured_with() -> None:
    volumes = CONTAINERS["prometheus"]["volumes"]
    assert volumes[:2] == [
        "./deploy/prometheus:/etc/prometheus:ro",
        "./deploy/docker/targets:/etc/prometheus/targets:ro",
    ]
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert all((DEPLOY / "prometheus" / name).exists() for name in configuration["rule_files"])
    for name in re.findall(r"targets/\S+\.yml", str(configuration)):
        targets = yaml.safe_load((DEPLOY / "docker" / name).read_text())
        hosts = {target.partition(":")[0] for group in targets for target in group["targets"]}
        assert hosts <= CONTAINERS.keys() | {"127.0.0.1"}, name


@pytest.mark.parametrize("path", ["docker-compose.yml", "deploy/logging/docker-compose.logging.yml"])
def test_composition_follows_the_specification(path: str, tmp_path: Path) -> None:
    # With every variable at its default, as compose reads it where none is set.
    text = resolved((ROOT / path).read_text())
    composition = tmp_path / "composition.json"
    composition.write_text(json.dumps(yaml.safe_load(text)))
    check = (
        "import pathlib, sys, compose_spec\n"
        "composition = compose_spec.PyCompose.from_json(pathlib.Path(sys.argv[1]).read_text())\n"
        "composition.validate(), composition.to_spec()"
    )
    run("python", "-c", check, composition)
