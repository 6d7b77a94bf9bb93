"""Figures: what a row of the benchmark has measured, what it is held against, and whether its target is met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A bound: on the ratio of ours to the other where there is another, on the figure itself where there is none."""

    bound: float
    at_least: bool = False

    def verdict(self, values: Sequence[float]) -> str:
        """Whether the median of the rounds is on the right side of the bound."""
        value = statistics.median(values)
        return "met" if (value >= self.bound if self.at_least else value <= self.bound) else "MISSED"

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}"


_SPREAD_OF_ONE = 0.05  # of what was measured in one round only


@dataclass(frozen=True, slots=True)
class NoWorse:
    """Two commits: the ratio is no further above 1 than its rounds are from each other."""

    def verdict(self, values: Sequence[float]) -> str:
        """`WORSE` and `better` are differences that the spread does not cover."""
        difference = statistics.median(values) - 1
        spread = max(values) - min(values) if len(values) > 1 else _SPREAD_OF_ONE
        return "WORSE" if difference > spread else "better" if -difference > spread else "met"

    def __str__(self) -> str:
        return "no worse"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `ours` and `other` hold one value a round, side by side; `rates` the same a second.

    The machine drifts between rounds, so that the ratio is the median of the rounds' ratios. A `remembered` other was
    measured on another day, perhaps on another machine: it is shown, and nothing is held against it.
    """

    name: str
    unit: str
    ours: Sequence[float]
    other: Sequence[float] = ()
    against: str = ""
    target: Target | NoWorse | None = None
    rates: Sequence[float] = ()
    other_rates: Sequence[float] = ()
    remembered: bool = False

    @property
    def ratios(self) -> list[float]:
        """Ours for one of the other, of each round; nothing when they did not take turns, or the other took none."""
        if self.remembered or not self.other or not all(self.other):
            return []
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)]

    @property
    def verdict(self) -> str:
        """What came of the target; empty where there is none, or nothing to hold against it."""
        values = self.ratios if self.other else self.ours
        return self.target.verdict(values) if self.target and values else ""

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": list(self.ours),
            "other": list(self.other),
            "against": self.against,
            "ratio": statistics.median(self.ratios) if self.ratios else None,
            "target": str(self.target or ""),
            "verdict": self.verdict,
            "rates": list(self.rates),
            "other_rates": list(self.other_rates),
            "remembered": self.remembered,
        }


@dataclass(slots=True)
class Row:
    """What one row of the benchmark came to; `not_run` says why there are no figures."""

    name: str
    measures: str
    figures: list[Figure] = field(default_factory=list)
    not_run: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "name": self.name,
            "measures": self.measures,
            "not_run": self.not_run,
            "figures": [figure.as_json() for figure in self.figures],
        }
