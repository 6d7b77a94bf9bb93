"""Prometheus, Alertmanager and the exporters around a running platform, with what `deploy/` ships.

The copies of the configuration differ in this and in nothing else:

- targets, mail server and Slack address are loopback ports of this run, and the secrets are files made up for it;
- scrapes every 3 s and evaluation every second, instead of every 15 s;
- a `for` longer than 2 s becomes 2 s. Thresholds, windows, texts, routes and waits of groups stay.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from bazarutod.ports import free_port
from bazarutod.stack import PROCESSES
from tests.ops.alert_rules import duration
from tests.ops.programs import DEPLOY, program
from tests.ops.sinks import Inbox
from tests.support.platform import Platform

FOR = "2s"
SCRAPE = 3  # seconds
_PATIENCE = 60.0  # seconds; for what should take a few, on a busy machine


@dataclass(frozen=True)
class Monitoring:
    """Prometheus with everything around it."""

    folder: Path
    prometheus: str
    alertmanager: str
    exporters: dict[str, str]
    inbox: Inbox

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers to an instant query."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        """The one value of an expression; None when there is none yet."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def names(self) -> set[str]:
        """The names of all metrics that Prometheus has."""
        return set(httpx.get(f"{self.prometheus}/api/v1/label/__name__/values", timeout=10).json()["data"])

    def unanswered(self) -> str:
        """The targets that did not answer, and why."""
        targets = httpx.get(f"{self.prometheus}/api/v1/targets", timeout=10).json()["data"]["activeTargets"]
        return "\n".join(f"{t['labels']}: {t['lastError']}" for t in targets if t["health"] != "up")

    def settle(self) -> None:
        """Return when every target was asked again: a series rises only once it has been seen."""
        time.sleep(2 * SCRAPE)

    def firing(self, name: str, **labels: str) -> list[dict[str, Any]]:
        """The alerts of that name that fire now."""
        alerts = httpx.get(f"{self.prometheus}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        selector = {"alertname": name, **labels}.items()
        return [alert for alert in alerts if alert["state"] == "firing" and selector <= alert["labels"].items()]

    def wait_firing(self, name: str, **labels: str) -> dict[str, Any]:
        """The alert, as soon as it fires."""
        wait_until(lambda: bool(self.firing(name, **labels)), f"{name} never fired")
        return self.firing(name, **labels)[0]

    def wait_over(self, name: str, **labels: str) -> None:
        """Return when the alert does not fire any more."""
        wait_until(lambda: not self.firing(name, **labels), f"{name} still fires")


def wait_until(ready: Callable[[], bool], message: str | Callable[[], str], seconds: float = _PATIENCE) -> None:
    """Look again and again; the test fails with `message` when it takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, message if isinstance(message, str) else message()
        time.sleep(0.2)


@contextmanager
def watching(platform: Platform, inbox: Inbox, folder: Path) -> Iterator[Monitoring]:
    """Watch a platform within."""
    ports = {name: free_port() for name in ("prometheus", "alertmanager", "postgres", "redis", "node")}
    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    _write_alertmanager(folder, inbox)
    _write_prometheus(folder, platform, addresses)
    (folder / "textfile").mkdir()
    with ExitStack() as stack:
        for name in ("postgres", "redis", "node"):
            stack.enter_context(exporter(name, addresses[name], platform, folder))
        stack.enter_context(
            running(
                folder,
                [
                    "prometheus-alertmanager",
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address={addresses['alertmanager']}",
                    "--cluster.listen-address=",
                ],
                f"http://{addresses['alertmanager']}/-/ready",
            )
        )
        stack.enter_context(
            running(
                folder,
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus/prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address={addresses['prometheus']}",
                ],
                f"http://{addresses['prometheus']}/-/ready",
            )
        )
        yield Monitoring(
            folder, f"http://{addresses['prometheus']}", f"http://{addresses['alertmanager']}", addresses, inbox
        )


@contextmanager
def exporter(name: str, address: str, platform: Platform, folder: Path, *, postgres: str = "") -> Iterator[None]:
    """Run the exporter of PostgreSQL (`postgres` is another server's URL), of Redis or of the machine."""
    binary = f"prometheus-{name}-exporter"
    arguments = {
        "postgres": [
            binary,
            f"--web.listen-address={address}",
            "--no-collector.bgwriter",  # this version asks for columns that PostgreSQL 17 took away
            f"--extend.query-path={DEPLOY / 'prometheus/postgres-exporter/queries.yml'}",
        ],
        "redis": [binary, "-web.listen-address", address, "-redis.addr", platform.settings.redis.url],
        "node": [
            binary,
            f"--web.listen-address={address}",
            f"--collector.textfile.directory={folder / 'textfile'}",
        ],
    }[name]
    url = postgres or platform.postgres.url("postgres")
    with running(folder, arguments, f"http://{address}/metrics", DATA_SOURCE_NAME=f"{url}?sslmode=disable"):
        yield


@contextmanager
def running(folder: Path, command: Sequence[str], ready: str, **variables: str) -> Iterator[None]:
    """Run a program within; it is ready when the address answers."""
    log = folder / f"{command[0]}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program(command[0]), *command[1:]],
            env={**os.environ, **variables},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(ready), f"{command[0]} is not ready")
        assert process.poll() is None, f"{' '.join(command)} ended:\n{log.read_text()}"
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _write_prometheus(folder: Path, platform: Platform, addresses: dict[str, str]) -> None:
    copy = folder / "prometheus"
    shutil.copytree(DEPLOY / "prometheus", copy)
    config = yaml.safe_load((copy / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s", "evaluation_interval": "1s"}
    (copy / "prometheus.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    for name in config["rule_files"]:
        rules = yaml.safe_load((copy / name).read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if duration(rule.get("for", "0s")) > duration(FOR):
                rule["for"] = FOR
        (copy / name).write_text(yaml.safe_dump(rules, sort_keys=False))
    for name, address in addresses.items():
        (copy / f"targets/{name}.yml").write_text(yaml.safe_dump([{"targets": [address]}]))
    targets = yaml.safe_load((copy / "targets/bazaruto.yml").read_text())
    for entry in targets:
        entry["targets"] = [_metrics_address(platform, entry["labels"]["process"])]
    (copy / "targets/bazaruto.yml").write_text(yaml.safe_dump(targets))


def _metrics_address(platform: Platform, name: str) -> str:
    process = next(process for process in PROCESSES if process.name == name)
    if name == "gateway":
        return platform.settings.gateway.listen
    service = platform.settings.services[process.service]
    return service.metrics if process.verb == "serve" else service.worker_metrics


def _write_alertmanager(folder: Path, inbox: Inbox) -> None:
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    global_config = config["global"]
    (folder / "slack_api_url").write_text(f"http://127.0.0.1:{inbox.http_port}/slack")
    (folder / "pager_routing_key").write_text("a key of this run")
    global_config["slack_api_url_file"] = str(folder / "slack_api_url")
    global_config["pagerduty_url"] = f"http://127.0.0.1:{inbox.http_port}/page"
    global_config["smtp_smarthost"] = f"127.0.0.1:{inbox.smtp_port}"
    global_config["smtp_require_tls"] = False
    del global_config["smtp_auth_username"], global_config["smtp_auth_password_file"]
    for receiver in config["receivers"]:
        for pager in receiver.get("pagerduty_configs", ()):
            pager["routing_key_file"] = str(folder / "pager_routing_key")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config, sort_keys=False))
