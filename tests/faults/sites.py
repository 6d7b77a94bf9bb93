"""The lines of the program that begin a transaction, or call a neighbour or the provider: read from the source."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
NIGHTLY = "libs/jobs/nightly.py"
"""What runs nightly begins transactions for the services."""
TRANSACTION = "transaction"
_NEIGHBOURS = frozenset({"_policies", "_payments", "_quotes", "_users"})
_CLIENTS = "/clients"  # of the neighbours: who calls them is of interest, and not how


@dataclass(frozen=True, order=True)
class Site:
    """A line of the program that begins a transaction or calls a neighbour."""

    file: str
    function: str
    calls: str
    """`transaction`, or the method of the neighbour's client."""
    number: int
    """Which one it is of those that the function calls."""
    line: int

    @property
    def name(self) -> str:
        """`payments.collection.jobs Handlers.collect transaction 2`: what stays when other lines come and go."""
        module = self.file.removeprefix("services/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        which = f" {self.number}" if self.number > 1 else ""
        return f"{module} {self.function} {self.calls}{which}"

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line})"


def all_sites() -> Iterator[Site]:
    """Every site of the services."""
    for path in [ROOT / NIGHTLY, *sorted((ROOT / "services").rglob("*.py"))]:
        yield from sites_in(str(path.relative_to(ROOT))).values()


@cache
def sites_in(file: str) -> Mapping[int, Site]:
    """The sites of a file of the program, by their lines."""
    if file != NIGHTLY and (not file.startswith("services/") or _CLIENTS in file):
        return {}
    sites: dict[int, Site] = {}
    numbers: Counter[tuple[str, str]] = Counter()

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".strip(".")
        if named := _named(node):
            numbers[function, named.attr] += 1
            line = named.end_lineno or named.lineno
            sites[line] = Site(file, function, named.attr, numbers[function, named.attr], line)
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(ast.parse((ROOT / file).read_text()), "")
    return sites


def _named(node: ast.AST) -> ast.Attribute | None:
    """The name of `….transaction()`, or of a method of a neighbour's client, called or handed to what calls it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == TRANSACTION:
        return node.func
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr in _NEIGHBOURS:
        return node
    return None
