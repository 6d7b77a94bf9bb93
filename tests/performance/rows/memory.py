"""The memory of the platform's processes after the work of the rows before this one."""

from __future__ import annotations

from tests.performance import accounting
from tests.performance.bench import Bench
from tests.performance.figures import Figure, Target
from tests.performance.platform import PROCESSES

NAME = "all processes"
_TARGET = Target(650)
_BESIDE = ("postgres", "redis", "bazarutod")


def measure(bench: Bench) -> list[Figure]:
    """PSS of the nine processes together and of each, and of what runs beside them."""
    memory = {tree.name: accounting.pss_mebibytes(bench.site(tree).platform.processes()) for tree in bench.trees}
    own, base = memory["HEAD"], memory.get("BASE", {})
    total = [sum(own[name] for name in PROCESSES)]
    base_total = [sum(base[name] for name in PROCESSES)] if base else []
    figures = [
        Figure(NAME, "MiB", total, target=_TARGET),
        bench.versus_base(Figure(NAME, "MiB", total), base_total),
    ]
    each = [
        bench.versus_base(Figure(name, "MiB", [own[name]]), [base[name]] if name in base else [])
        for name in (*PROCESSES, *_BESIDE)
        if name in own
    ]
    return figures + each
