"""The commands and queries of docs/operations.md that need a program of the monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.ops.programs import program, run
from tests.support.guide import Block, blocks_of
from tests.support.place import Place, commands_of_the_guide, place_of_the_guide, programs_of


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The machine of the guide."""
    with place_of_the_guide() as prepared:
        yield prepared


@pytest.mark.parametrize("block", commands_of_the_guide(of_monitoring=True), ids=str)
def test_commands_of_the_guide_work(place: Place, block: Block) -> None:
    for name in programs_of(block):
        program(name)
    place.check(block)


def test_prometheus_accepts_the_queries_of_the_guide(tmp_path: Path) -> None:
    queries = [line for block in blocks_of("promql") for line in block.text.strip().splitlines()]
    rules = [{"record": f"guide:query{number}", "expr": query} for number, query in enumerate(queries)]
    assert rules
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "guide", "rules": rules}]}))
    run("promtool", "check", "rules", tmp_path / "queries.yml")
