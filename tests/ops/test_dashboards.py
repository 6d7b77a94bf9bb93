"""The dashboards: what the guide names is there, every expression parses, and Grafana will find them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops import alert_rules
from tests.ops.dashboards import dashboards, expressions, metrics_of
from tests.ops.programs import DEPLOY, run

PROVISIONING = DEPLOY / "grafana/provisioning"


def test_there_is_a_dashboard_for_every_view() -> None:
    assert set(dashboards()) == {
        "application",
        "services",
        "postgres-and-pools",
        "cache",
        "jobs",
        "business",
        "machine",
    }


@pytest.mark.parametrize(
    ("title", "legend"),
    [
        ("Request Rate", "{{method}} {{path}}"),
        ("Response Time", "95th percentile"),
        ("Error Rate", "5xx errors"),
    ],
)
def test_application_dashboard_has_the_panels_of_the_guide(title: str, legend: str) -> None:
    application = dashboards()["application"]
    assert application["title"] == "Bazaruto Application"
    panel = next(panel for panel in application["panels"] if panel["title"] == title)
    assert panel["targets"][0]["legendFormat"] == legend


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_dashboard_is_one_that_grafana_can_show(name: str) -> None:
    dashboard = dashboards()[name]
    datasource = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())["datasources"][0]
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert len(ids) == len(set(ids))
    assert dashboard["uid"].startswith("bazaruto-")
    for panel in dashboard["panels"]:
        assert panel["type"] == "timeseries"
        assert panel["datasource"] == {"type": datasource["type"], "uid": datasource["uid"]}
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])
        assert not _overlap(panel, dashboard["panels"])


def test_dashboards_have_different_names() -> None:
    for key in ("uid", "title"):
        names = [dashboard[key] for dashboard in dashboards().values()]
        assert len(names) == len(set(names))


def test_grafana_reads_dashboards_from_the_folder_that_is_mounted() -> None:
    provider = yaml.safe_load((PROVISIONING / "dashboards/bazaruto.yaml").read_text())["providers"][0]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_expression_parses(tmp_path: Path) -> None:
    rules = [{"record": f"panel:expression:{index}", "expr": e.text} for index, e in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run("promtool", "check", "rules", path)


def test_names_of_metrics_are_found_in_expressions() -> None:
    text = (
        'sum by (le, path) (rate(a_bucket{b=~"c d"}[5m])) / on (instance) group_left () d:e:f > 0.5 or time() - g_total'
    )
    assert metrics_of(text) == {"a_bucket", "d:e:f", "g_total"}


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_recorded_series_of_a_panel_are_recorded(expression: Any) -> None:
    recorded = {rule["record"] for rule in alert_rules.rules() if "record" in rule}
    assert {name for name in metrics_of(expression.text) if ":" in name} <= recorded


def _overlap(panel: dict[str, Any], panels: list[dict[str, Any]]) -> bool:
    a = panel["gridPos"]
    others = (other["gridPos"] for other in panels if other["id"] != panel["id"])
    return any(
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
        for b in others
    )
