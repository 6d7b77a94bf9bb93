"""Who hears of which alert, by Alertmanager's own tool; and that its file holds no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.programs import DEPLOY, run

FILE = DEPLOY / "alertmanager/alertmanager.yml"


def _config() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in run("amtool", "check-config", FILE)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=DatabaseDown severity=critical", "page,email-notifications,slack-notifications"),
        ("alertname=SlowResponseTime severity=warning", "slack-notifications"),
        ("alertname=SomethingElse", "slack-notifications"),
        ("alertname=Watchdog severity=none", "dead-mans-switch"),
    ],
)
def test_alert_is_routed_by_its_severity(labels: str, receivers: str) -> None:
    output = run("amtool", "config", "routes", "test", f"--config.file={FILE}", *labels.split())
    assert receivers in output.splitlines()


def test_groups_and_waits_are_those_of_the_guide() -> None:
    route = _config()["route"]
    assert route["group_by"] == ["alertname"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("10s", "10s", "1h")
    assert route["receiver"] == "slack-notifications"


def test_slack_and_mail_are_those_of_the_guide() -> None:
    receivers = {receiver["name"]: receiver for receiver in _config()["receivers"]}
    slack = receivers["slack-notifications"]["slack_configs"][0]
    mail = receivers["email-notifications"]["email_configs"][0]

    assert (slack["channel"], slack["title"]) == ("#alerts", "Bazaruto Alert")
    assert "{{ .Annotations.summary }}" in slack["text"]
    assert (mail["to"], mail["from"]) == ("ops@bazaruto.com", "alerts@bazaruto.com")
    assert mail["headers"] == {"Subject": "Bazaruto Alert: {{ .GroupLabels.alertname }}"}
    assert "Alert: {{ .Annotations.summary }}" in mail["text"]
    assert "Description: {{ .Annotations.description }}" in mail["text"]


_FILES = [path for folder in ("alertmanager", "prometheus", "grafana") for path in (DEPLOY / folder).rglob("*.y*ml")]


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"hooks\.slack\.com|xox[abp]-|-----BEGIN|://[^/\s:]+:[^/\s@]+@", text)
    assert not re.search(r"(?m)^\s*(?:api_url|slack_api_url|routing_key|smtp_auth_password|password):", text)


def test_secrets_are_read_from_files() -> None:
    global_config = _config()["global"]
    pager = next(receiver for receiver in _config()["receivers"] if receiver["name"] == "page")
    secrets = [global_config["slack_api_url_file"], global_config["smtp_auth_password_file"]]
    secrets.append(pager["pagerduty_configs"][0]["routing_key_file"])
    assert all(path.startswith("/etc/alertmanager/secrets/") for path in secrets)
