"""What a process needs before its main can begin, interpreter included."""

from __future__ import annotations

import resource

from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure
from tests.performance.platform import SERVICES
from tests.performance.rounds import take_turns
from tests.performance.trees import Tree

NAME = "CPU of all imports"
_WORKER = "gateway.worker"  # where the gateway imports most of itself
_LIBRARIES = (
    "grpc, google.protobuf, sqlalchemy.orm, psycopg_pool, procrastinate, opentelemetry.sdk.trace, prometheus_client,"
    " structlog, pydantic_settings, jwt"
)
_SECONDS = 60.0


def measure(bench: Bench) -> list[Figure]:
    """CPU time of a new interpreter that imports a main; and of all of them together, against the other tree."""
    modules = [*(f"services.{service}.main" for service in SERVICES), "gateway.main", _WORKER]
    contenders = {f"HEAD {module}": _Import(bench.head, module) for module in modules}
    contenders["libraries"] = _Import(bench.head, _LIBRARIES)
    if bench.base:
        contenders |= {f"BASE {module}": _Import(bench.base, module) for module in modules}
    spent = take_turns(bench.effort, contenders)
    figures = [
        Figure(module, "ms", spent[f"HEAD {module}"], spent["libraries"], "libraries alone", Target(1.5))
        for module in modules
    ]
    own, base = (
        [sum(values) for values in zip(*(spent[f"{tree} {module}"] for module in modules), strict=True)]
        if f"{tree} {modules[0]}" in spent
        else []
        for tree in ("HEAD", "BASE")
    )
    return [*figures, bench.versus_base(Figure(NAME, "ms", own), base)]


class _Import:
    """A new interpreter of a tree that imports something; the first one compiles what has never been imported."""

    def __init__(self, tree: Tree, module: str) -> None:
        self._tree = tree
        self._module = module

    def __call__(self, _: float) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            self._tree.run(self._tree.python, "-c", f"import {self._module}", seconds=_SECONDS)
        except CannotMeasure as error:
            raise CannotMeasure(f"{self._tree.name} imports no {self._module}: {error}") from error
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
