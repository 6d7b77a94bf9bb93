"""The drill: a server with many rows is lost and comes back to a moment."""

from __future__ import annotations

import json

from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure

_SECONDS = 600.0


def measure(bench: Bench) -> list[Figure]:
    """Seconds from the loss until all is compared, against those of writing the rows. It takes the whole machine."""
    rows = str(bench.effort.rows)
    printed = bench.head.run(
        bench.head.command, "drill", "--rows", rows, "--within", str(_SECONDS), "--json", seconds=_SECONDS
    )
    report = json.loads(printed)
    if report["wrong"]:
        raise CannotMeasure("; ".join(report["wrong"]))
    writing = sum(step["seconds"] for step in report["steps"] if step["name"].startswith("write"))
    name = f"recovery of {report['rows']:,} rows"
    return [Figure(name, "s", [report["recovery_seconds"]], [writing], "writing them", Target(1))]
