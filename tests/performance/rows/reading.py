"""The read of a policy by everybody who offers it, everything on; gateway and service share a core."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from tests.performance.answers import differences
from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import Burst, CannotMeasure, cpu, rates, tails
from tests.performance.readers import await_policy, closed, monolith, platform_reader
from tests.performance.rounds import take_turns

MEASURED = ("gateway", "policies")
FASTEST, USUAL = "FastAPI, fastest form", "FastAPI, usual ORM form"
FORMS = {FASTEST: "monolith", USUAL: "monolith_orm"}


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each request, requests a second, and the tail when each is kept busy."""
    with ExitStack() as running:
        readers = {tree.name: platform_reader(bench, tree, *MEASURED) for tree in bench.trees}
        readers |= {name: monolith(bench, running, form) for name, form in FORMS.items()}
        callers = bench.site(bench.head).callers
        answers = [await_policy(bench, name, readers[name].address, callers) for name in ("HEAD", *FORMS)]
        if any(answer != answers[0] for answer in answers):
            raise CannotMeasure(f"the contenders answer differently: {answers}")
        if bench.base:
            base = await_policy(bench, "BASE", readers["BASE"].address, bench.site(bench.base).callers)
            if found := differences(answers[0], base):
                raise CannotMeasure(f"the commits answer differently: {', '.join(found)}")
        bursts = take_turns(bench.effort, {name: closed(bench, reader) for name, reader in readers.items()})
    own = bursts["HEAD"]
    return [
        _against(own, bursts[FASTEST], FASTEST, Target(0.75)),
        _against(own, bursts[USUAL], USUAL, Target(0.45)),
        bench.cpu_versus_base("CPU of a read", bursts),
        *bench.shares(bursts, "gateway", "policies", "postgres"),
        Figure("p99 when kept busy", "ms", tails(own), tails(bursts[FASTEST]), FASTEST, Target(0.5)),
        Figure("p99 when kept busy", "ms", tails(own), tails(bursts[USUAL]), USUAL),
    ]


def _against(own: Sequence[Burst], other: Sequence[Burst], form: str, target: Target) -> Figure:
    return Figure("CPU of a read", "µs", cpu(own), cpu(other), form, target, rates=rates(own), other_rates=rates(other))
