"""The dashboards as they are shipped, and the metrics that their expressions name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.ops.programs import DEPLOY

_FOLDER = DEPLOY / "grafana/dashboards"
# What stands between metrics in an expression: texts, selectors, windows, and lists of labels.
_NOT_METRICS = (
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"\{[^}]*\}"),
    re.compile(r"\[[^\]]*\]"),
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])")
_WORDS = {"and", "or", "unless", "offset", "bool", "by", "without", "on"}


@dataclass(frozen=True)
class Expression:
    """One line of a panel."""

    dashboard: str
    panel: str
    text: str

    def __str__(self) -> str:
        return f"{self.dashboard}/{self.panel}"


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard, by the name of its file."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(_FOLDER.glob("*.json"))}


def expressions() -> list[Expression]:
    """Every expression of every panel."""
    return [
        Expression(name, panel["title"], target["expr"])
        for name, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def metrics_of(text: str) -> set[str]:
    """The names of the metrics in an expression."""
    for pattern in _NOT_METRICS:
        text = pattern.sub(" ", text)
    text = re.sub(r"\b\d[\d.e]*[smhdwy]?\b", " ", text)
    return set(_NAME.findall(text)) - _WORDS
