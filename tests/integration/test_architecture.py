"""The house as it stands: the picture in the documents, and what imports alone do not show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
ARROW = re.compile(r"^  ([\w.]+) --> ([\w.]+)$", re.MULTILINE)
ABOVE_MODULES = ("main", "clients", "settings", "migrations")  # files of a service that belong to no module
VERBS = ("find", "lock", "list", "add", "save", "delete")
CONVERTER = re.compile(r"(\w+_from_rows?|row_from_\w+|changes_from_\w+)")


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("bazarutod", "gateway", "libs", "services")


def test_picture_of_the_house_shows_the_imports_that_there_are(imports: grimp.ImportGraph) -> None:
    picture = (ROOT / "docs/architecture.md").read_text().split("```mermaid")[1].split("```")[0]
    arrows = {
        (part_of(importer), part_of(imported))
        for importer in imports.modules
        for imported in imports.find_modules_directly_imported_by(importer)
    }
    assert set(ARROW.findall(picture)) == {
        (above, below) for above, below in arrows if above and below != above and below
    }


def test_no_file_is_part_of_a_circle(imports: grimp.ImportGraph) -> None:
    files = {name: imports.find_modules_directly_imported_by(name) for name in imports.modules}
    TopologicalSorter(files).prepare()  # raises `CycleError`, which names the files


def test_functions_of_stores_are_named_by_the_six_verbs() -> None:
    others = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in stores()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.name.partition("_")[0] not in VERBS
        and not CONVERTER.fullmatch(node.name)
    ]
    assert not others


def test_nobody_writes_into_the_store_of_another_module() -> None:
    assert not list(foreign_writes())


def part_of(module: str) -> str:
    """The floor or the module that a file belongs to; empty for the composition of a service."""
    floor, *names = module.split(".")
    if floor != "services":
        return floor
    if len(names) < 2 or names[1] in ABOVE_MODULES:
        return ""
    return f"{names[0]}.{names[1]}"


def stores() -> list[Path]:
    paths = sorted(ROOT.glob("services/*/*/store/**/*.py"))
    assert len(paths) >= 10
    return paths


def foreign_writes() -> Iterator[str]:
    """Calls of what a store of another module does beside finding, locking and listing."""
    for path in sorted(ROOT.glob("services/*/*/**/*.py")):
        tree = ast.parse(path.read_text())
        own = ".".join(path.relative_to(ROOT).parts[:3])
        foreign = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith(".store")
            for alias in node.names
            if not node.module.startswith(f"{own}.")
        }
        yield from (
            f"{path.relative_to(ROOT)}: {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in foreign
            and node.attr.partition("_")[0] in ("add", "save", "delete")
        )
