"""The alert rules as they are shipped, and the cases that promtool plays through them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.ops.programs import DEPLOY

PROMETHEUS = DEPLOY / "prometheus"
CASES = Path(__file__).parent / "cases"
_MINUTE = timedelta(minutes=1)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def rule_files() -> list[Path]:
    """The files that prometheus.yml names."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    return [PROMETHEUS / name for name in config["rule_files"]]


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    groups = [group for path in rule_files() for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """The rules that alert."""
    return [rule for rule in rules() if "alert" in rule]


def duration(text: str) -> timedelta:
    """A duration as Prometheus writes it: `90m`."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    assert match, f"{text!r} is no duration"
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True)
class Case:
    """Series under which an alert fires, and series just below that."""

    rule: dict[str, Any]
    since: timedelta
    fires: dict[str, str]
    silent: dict[str, str] | None
    expected: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The alert's name."""
        return str(self.rule["alert"])

    def tests(self) -> list[dict[str, Any]]:
        """What promtool plays: pending until `for` is over, then firing; and never anything just below."""
        wait = duration(self.rule["for"])
        fires_at = self.since + wait
        pending = f'count(ALERTS{{alertname="{self.name}", alertstate="pending"{self._selector()}}})'
        waiting: list[dict[str, Any]] = []
        if wait:
            waiting = [{"eval_time": _text(fires_at - _MINUTE), "alertname": self.name, "exp_alerts": []}]
        expected_alerts = [
            {
                "exp_labels": alert["labels"],
                "exp_annotations": {
                    "summary": alert["summary"],
                    "description": alert["description"],
                    "runbook_url": f"docs/runbooks/{self.name}.md",
                },
            }
            for alert in self.expected
        ]
        over = {
            "interval": "1m",
            "input_series": _series(self.fires),
            "alert_rule_test": [
                *waiting,
                {"eval_time": _text(fires_at), "alertname": self.name, "exp_alerts": expected_alerts},
            ],
            "promql_expr_test": [
                {
                    "expr": pending,
                    "eval_time": _text(fires_at - _MINUTE),
                    "exp_samples": [{"value": len(self.expected)}],
                }
            ]
            if wait
            else [],
        }
        if self.silent is None:
            return [over]
        below = {
            "interval": "1m",
            "input_series": _series(self.silent),
            "alert_rule_test": [
                {"eval_time": _text(fires_at + later), "alertname": self.name, "exp_alerts": []}
                for later in (timedelta(0), 4 * _MINUTE)
            ],
        }
        return [over, below]

    def _selector(self) -> str:
        return "".join(f', {name}="{value}"' for name, value in self.rule["labels"].items())


def cases() -> list[Case]:
    """Every case of the folder, with the rule that it is about."""
    all_cases = []
    for path in sorted(CASES.glob("*.yml")):
        for entry in yaml.safe_load(path.read_text()):
            which = entry.get("which", {}).items()
            rule = [r for r in alerts() if r["alert"] == entry["alert"] and which <= r["labels"].items()]
            assert len(rule) == 1, f"{path.name}: {entry['alert']} {dict(which)} names {len(rule)} rules"
            all_cases.append(
                Case(rule[0], duration(entry["since"]), entry["fires"], entry.get("silent"), entry["expected"])
            )
    return all_cases


def _series(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": series, "values": text} for series, text in values.items()]


def _text(moment: timedelta) -> str:
    return f"{int(moment.total_seconds())}s"
