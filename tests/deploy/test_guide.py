"""Every command of docs/operations.md that can be run is run, on a platform that lives as the guide says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.programs import program
from tests.support.guide import Block
from tests.support.place import Place, commands_of_the_guide, place_of_the_guide, programs_of

pytestmark = pytest.mark.xdist_group("guide")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The machine of the guide."""
    with place_of_the_guide() as prepared:
        yield prepared


@pytest.mark.parametrize("block", commands_of_the_guide(of_monitoring=False), ids=str)
def test_commands_of_the_guide_work(place: Place, block: Block) -> None:
    for name in programs_of(block):
        program(name)
    place.check(block)
