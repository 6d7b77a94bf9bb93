"""Figure 9: the drill: a server with a million rows is lost and comes back to a moment."""

from __future__ import annotations

from bazarutod.backup import drill
from tests.performance.load import CannotMeasure
from tests.performance.rounds import Effort
from tests.performance.table import Figure, Target


def measure(effort: Effort) -> list[Figure]:
    """Seconds from the loss until everything has been compared. One round: it takes the whole machine."""
    report = drill.run(effort.rows, lambda _: None)
    if report.wrong:
        raise CannotMeasure("; ".join(report.wrong))
    name = f"recovery of {report.rows:,} rows to a moment"
    return [Figure(name, "s", [report.recovery_seconds], target=Target(60))]
