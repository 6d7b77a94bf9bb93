"""Every alert rule: valid, documented, silent just below its threshold, patient for its `for`, and then loud."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazarutod.stack import PROCESSES
from libs.config import Settings
from tests.ops import alert_rules
from tests.ops.alert_rules import PROMETHEUS, Case
from tests.ops.programs import DEPLOY, run

_SEVERITIES = {"critical", "warning", "none"}
_CASES = alert_rules.cases()


def test_promtool_accepts_configuration_and_rules() -> None:
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *alert_rules.rule_files())


def test_every_process_of_the_platform_is_scraped() -> None:
    settings = Settings()
    expected = {}
    for process in PROCESSES:
        if process.name == "gateway":
            address = settings.gateway.listen
        else:
            service = settings.services[process.service]
            address = service.metrics if process.verb == "serve" else service.worker_metrics
        expected[process.name] = (address, process.service)

    targets = yaml.safe_load((PROMETHEUS / "targets/bazaruto.yml").read_text())

    assert {
        entry["labels"]["process"]: (entry["targets"][0], entry["labels"]["service"]) for entry in targets
    } == expected


def test_every_job_has_targets() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert {job["job_name"] for job in config["scrape_configs"]} >= {"bazaruto", "postgres", "redis", "node"}
    for job in config["scrape_configs"]:
        for source in job["file_sd_configs"]:
            for name in source["files"]:
                assert yaml.safe_load((PROMETHEUS / name).read_text()), name


@pytest.mark.parametrize("rule", alert_rules.alerts(), ids=lambda rule: rule["alert"])
def test_alert_says_how_bad_what_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in _SEVERITIES
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in alert_rules.alerts()}))
def test_runbook_tells_meaning_check_remedy_and_end(name: str) -> None:
    text = (DEPLOY.parent / "docs/runbooks" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    for heading in ("## What it means", "## How to check", "## What to do", "## How to know it is over"):
        assert heading in text, heading


def test_no_runbook_is_left_over() -> None:
    names = {rule["alert"] for rule in alert_rules.alerts()}
    assert {path.stem for path in (DEPLOY.parent / "docs/runbooks").glob("[A-Z]*.md")} == {*names, "README"}


def test_every_alert_has_a_case() -> None:
    played = [case.rule for case in _CASES]
    assert [rule["alert"] for rule in alert_rules.alerts() if rule not in played] == []


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.name}-{case.rule['labels'].get('long', '')}")
def test_alert_waits_fires_and_stays_silent_just_below(case: Case, tmp_path: Path) -> None:
    _play(tmp_path, case.tests())


def _play(folder: Path, tests: list[dict[str, Any]], every: str = "1m") -> None:
    path = folder / "rules.test.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(rules) for rules in alert_rules.rule_files()],
                "evaluation_interval": every,
                "tests": tests,
            },
            sort_keys=False,
        )
    )
    run("promtool", "test", "rules", path)


_PAIRS = [rule for rule in alert_rules.alerts() if rule["alert"] == "ErrorBudgetBurn"]


@pytest.mark.parametrize("rule", _PAIRS, ids=lambda rule: rule["labels"]["long"])
def test_budget_alert_needs_the_long_window_and_ends_with_the_short_one(rule: dict[str, Any], tmp_path: Path) -> None:
    """A long quiet time; errors at one and a half times the threshold; quiet again, one short window and more."""
    long, short = (alert_rules.duration(rule["labels"][which]) for which in ("long", "short"))
    factor = float(rule["expr"].split(">")[1].split()[0])
    step = min(short / 5, timedelta(minutes=4))  # the recorded rates look five minutes back
    share = round(1000 * factor * 1.5)  # of a million requests, where a thousand are the budget
    quiet, bad, after = (round(time / step) for time in (long, long, 2 * short))
    counted = {
        "200": f"0+1000000x{quiet} {1000000 * (quiet + 1)}+{1000000 - share}x{bad + after}",
        "500": f"0+0x{quiet} 0+{share}x{bad} {share * bad}+0x{after}",
    }
    errors_start = quiet * step

    def firing(moment: timedelta) -> dict[str, Any]:
        chosen = f'alertname="ErrorBudgetBurn", long="{rule["labels"]["long"]}"'
        return {
            "expr": f'count(ALERTS{{{chosen}, alertstate="firing"}}) or vector(0)',
            "eval_time": f"{int(moment.total_seconds())}s",
        }

    every = f"{int(step.total_seconds())}s"
    test: dict[str, Any] = {
        "interval": every,
        "input_series": [
            {"series": f'http_requests_total{{path="/v1/quotes", status="{status}"}}', "values": values}
            for status, values in counted.items()
        ],
        "promql_expr_test": [
            {**firing(errors_start), "exp_samples": [{"labels": "{}", "value": 0}]},
            {**firing(errors_start + long * 0.5), "exp_samples": [{"labels": "{}", "value": 0}]},
            {**firing(errors_start + long * 0.95), "exp_samples": [{"labels": "{}", "value": 1}]},
            {**firing(errors_start + long + short * 1.5), "exp_samples": [{"labels": "{}", "value": 0}]},
        ],
    }
    _play(tmp_path, [test], every)


def test_table_of_alerts_is_the_rules() -> None:
    rows = []
    for rule in alert_rules.alerts():
        name, window = rule["alert"], rule["labels"].get("long")
        level = (DEPLOY.parent / f"docs/runbooks/{name}.md").read_text().split("Level: ")[1].splitlines()[0]
        over = f" over {window}" if window else ""
        rows.append(f"| [{name}](runbooks/{name}.md){over} | {rule['labels']['severity']} | {rule['for']} | {level} |")
    page = (DEPLOY.parent / "docs/monitoring.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("| [")] == rows
