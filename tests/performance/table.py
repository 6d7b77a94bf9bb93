"""The result of a run: figures with their targets, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A bound: on the ratio of ours to the other where there is another, on the figure itself where there is none."""

    bound: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether the value is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `ours` and `other` hold one value a round, side by side.

    The machine drifts between rounds, so that the ratio is the median of the rounds' ratios.
    """

    name: str
    unit: str
    ours: Sequence[float] = ()
    other: Sequence[float] = ()
    against: str = ""
    target: Target | None = None
    not_run: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours for one of the other; None where there is no other."""
        return statistics.median(self.ratios) if self.other else None

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)] if self.other else []

    @property
    def verdict(self) -> str:
        """What came of the target."""
        if self.not_run:
            return "not run"
        if self.target is None:
            return ""
        value = statistics.median(self.ours) if self.ratio is None else self.ratio
        return "met" if self.target.is_met(value) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": list(self.ours),
            "other": list(self.other),
            "against": self.against,
            "ratio": self.ratio,
            "target": str(self.target) if self.target else "",
            "verdict": self.verdict,
            "not_run": self.not_run,
        }


_COLOURS = {"met": "green", "MISSED": "bold red", "not run": "yellow"}


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print the table, and below it why a line is missing."""
    table = Table("figure", "ours", "other", "ratio", "target", "", title="median \\[lowest – highest] of the rounds")
    for figure in figures:
        verdict = figure.verdict
        colour = _COLOURS.get(verdict, "default")
        table.add_row(
            f"{figure.name} [dim]({figure.unit})[/]",
            _spread(figure.ours),
            f"{_spread(figure.other)} [dim]{figure.against}[/]" if figure.other else "",
            _spread(figure.ratios),
            str(figure.target or ""),
            f"[{colour}]{verdict}[/]",
        )
    console.print(table)
    for figure in figures:
        if figure.not_run:
            console.print(f"[yellow]not run:[/] {figure.name}: {figure.not_run}", highlight=False, soft_wrap=True)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} [dim]\\[{_number(min(values))} – {_number(max(values))}][/]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
