"""The read of a policy with its timeline, everything on; gateway and service share a core."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.performance.answers import differences
from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure, cpu, rates
from tests.performance.readers import await_policy, closed, platform_reader
from tests.performance.rounds import take_turns

MEASURED = ("gateway", "policies")
NAME = "CPU of a read"
_AS_KNOWN = "as known at a moment"


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each request: of now, against another commit; and as of a moment, against now."""
    readers = {tree.name: platform_reader(bench, tree, *MEASURED) for tree in bench.trees}
    answers = {
        tree.name: await_policy(bench, tree.name, readers[tree.name].address, bench.site(tree).callers)
        for tree in bench.trees
    }
    _check(answers)
    callers = bench.site(bench.head).callers
    moment = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    query = urlencode({"effectiveTime": moment, "knownTime": moment})
    reads = [{**read, "path": f"{read['path']}?{query}"} for read in callers.reads()]
    readers[_AS_KNOWN] = replace(readers["HEAD"], requests=bench.generator.file(reads))
    bursts = take_turns(bench.effort, {name: closed(bench, reader) for name, reader in readers.items()})
    own, known, base = bursts["HEAD"], bursts[_AS_KNOWN], bursts.get("BASE", [])
    return [
        bench.versus_base(Figure(NAME, "µs", cpu(own), rates=rates(own)), cpu(base), rates(base), Target(1.15)),
        *bench.shares(bursts, *MEASURED, "postgres"),
        Figure(f"{NAME} {_AS_KNOWN}", "µs", cpu(known), cpu(own), "now", rates=rates(known), other_rates=rates(own)),
    ]


def _check(answers: dict[str, dict[str, Any]]) -> None:
    """`CannotMeasure` unless this commit answers with a timeline, and otherwise as the other does."""
    if not all(segment["lines"] for segment in answers["HEAD"]["term"]["segments"]):
        raise CannotMeasure(f"the policy that is read has no timeline: {answers['HEAD']}")
    if found := differences(answers["HEAD"], answers.get("BASE", answers["HEAD"])):
        raise CannotMeasure(f"the commits answer differently: {', '.join(found)}")
