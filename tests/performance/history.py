"""What an earlier commit was measured at: figures kept in the repository, with the day and the machine.

They are shown where that commit is not measured again beside this one. Machines differ by a factor of three, so that
nothing is held against them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.performance.figures import Row

FILE = Path(__file__).with_name("history.json")


@dataclass(frozen=True, slots=True)
class History:
    """Rounds of each figure, by `row: figure`."""

    revision: str
    day: str
    machine: Sequence[str]
    figures: dict[str, list[float]]

    @classmethod
    def load(cls, file: Path = FILE) -> History:
        """Read what is kept."""
        return cls(**json.loads(file.read_text()))

    @property
    def label(self) -> str:
        """How its figures are named in the table."""
        return f"{self.revision}, {self.day}"

    def find(self, row: str, figure: str) -> list[float]:
        """The rounds of a figure; empty for one that was not measured."""
        return self.figures.get(f"{row}: {figure}", [])


def keep(rows: Sequence[Row], revision: str, machine: Sequence[str], file: Path = FILE) -> None:
    """Write down what the other commit was measured at in this run; what was not measured again stays."""
    figures = History.load(file).figures if file.exists() else {}
    for row in rows:
        for figure in row.figures:
            if figure.against == revision and not figure.remembered:
                figures[f"{row.name}: {figure.name}"] = [round(value, 3) for value in figure.other]
    kept = {"revision": revision, "day": f"{datetime.now(UTC):%Y-%m-%d}", "machine": list(machine), "figures": figures}
    file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
