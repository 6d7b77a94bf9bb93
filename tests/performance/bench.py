"""What the rows share: the trees, a running platform of each with its callers, the load generator and the effort."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psycopg

from tests.performance import callers, platform
from tests.performance.callers import Callers
from tests.performance.figures import Figure, NoWorse, Target
from tests.performance.history import History
from tests.performance.load import Burst, CannotMeasure, Generator, cpu, rates
from tests.performance.platform import Platform
from tests.performance.rounds import Effort
from tests.performance.trees import Tree


@dataclass(frozen=True, slots=True)
class Site:
    """A running platform and those who call it."""

    platform: Platform
    callers: Callers


@dataclass
class Bench:
    """One run. What rows ask for is started when the first one asks, and stays until the end."""

    effort: Effort
    head: Tree
    base: Tree | None
    history: History
    tell: Callable[[str], None]
    row: str = ""
    """The row that is being measured."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bazaruto-bench-")))
    _sites: dict[str, Site] = field(default_factory=dict)
    _failures: dict[str, CannotMeasure] = field(default_factory=dict)
    _running: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.generator = Generator(self.folder)
        self._running.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._running.callback(self.generator.close)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._running.close()

    @property
    def trees(self) -> list[Tree]:
        """The tree under test, and the one that it is compared with if there is one."""
        return [self.head, *([self.base] if self.base else [])]

    def site(self, tree: Tree) -> Site:
        """The running platform of a tree, with a thousand policies. `CannotMeasure` when it did not start."""
        if tree.name in self._failures:
            raise self._failures[tree.name]
        if tree.name not in self._sites:
            try:
                self._sites[tree.name] = self._start(tree)
            except (CannotMeasure, httpx.HTTPError, psycopg.Error) as error:
                self._failures[tree.name] = CannotMeasure(f"the platform of {tree.name}: {error}")
                raise self._failures[tree.name] from error
        return self._sites[tree.name]

    def versus_base(
        self,
        figure: Figure,
        base: Sequence[float],
        base_rates: Sequence[float] = (),
        target: NoWorse | Target | None = NoWorse(),  # noqa: B008 - frozen
    ) -> Figure:
        """A figure of this tree against that of the other, measured in turn; else against what is remembered of it."""
        if self.base and base:
            revision = self.base.revision
            return replace(figure, other=base, other_rates=base_rates, against=revision, target=target)
        remembered = self.history.find(self.row, figure.name)
        return replace(figure, other=remembered, against=self.history.label, remembered=True)

    def cpu_versus_base(self, name: str, bursts: Mapping[str, Sequence[Burst]], *processes: str) -> Figure:
        """CPU time for each request of the bursts of `HEAD` against those of `BASE`."""
        base = bursts.get("BASE", [])
        figure = Figure(name, "µs", cpu(bursts["HEAD"], *processes), rates=rates(bursts["HEAD"]))
        return self.versus_base(figure, cpu(base, *processes), rates(base))

    def shares(self, bursts: Mapping[str, Sequence[Burst]], *processes: str) -> list[Figure]:
        """Whose the CPU time of a request is: of each of these processes, and of all others together."""
        others = sorted(set(bursts["HEAD"][0].cpu) - set(processes))
        groups = {f"  of it {name}": (name,) for name in processes} | {"  of it all others": tuple(others)}
        return [
            self.versus_base(
                Figure(name, "µs", cpu(bursts["HEAD"], *group)), cpu(bursts.get("BASE", []), *group), target=None
            )
            for name, group in groups.items()
        ]

    def _start(self, tree: Tree) -> Site:
        self.tell(f"starting the platform of {tree.name}")
        started = self._running.enter_context(platform.running(tree))
        self.tell(f"registering {callers.CUSTOMERS} customers of {tree.name}")
        return Site(started, callers.prepare(started))
