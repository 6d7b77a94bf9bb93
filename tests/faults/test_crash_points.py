"""Flows that are killed at every crash point: they end as if nothing had happened."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest
import structlog

from tests.faults.covered import KILLED
from tests.faults.crash_points import CrashPoints, Kill, Point
from tests.faults.flows import FLOWS, Flow
from tests.faults.outcome import outcome
from tests.faults.world import World
from tests.support import postgres
from tests.support.people import People

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three services whose crash points are seen."""
    with pytest.MonkeyPatch.context() as patch:
        quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=quiet)  # what dies on purpose would fill pages
        points = CrashPoints()
        points.install(patch)
        urls = {name: postgres.new_database(name) for name in ("policies", "payments", "quotes")}
        with World(points, people, urls, tmp_path_factory.mktemp("clock") / "clock").running() as running:
            yield running
    structlog.reset_defaults()


class Killing:
    """One flow, which begins at the same moment again and again."""

    def __init__(self, world: World, flow: Flow) -> None:
        self.world, self.flow = world, flow
        world.begin()
        self.before = flow.prepare(world)
        world.keep()

    def run(self, kill: Kill) -> dict[str, object]:
        """What comes of the flow; the crash points that it passes are noted."""
        self.world.put_back()
        case = replace(self.before)
        with self.world.points.watching(kill):
            self.flow.act(self.world, case)
        assert self.world.differences(case.policy_id) == [], self.killed()
        return outcome(self.world, case)

    def killed(self) -> set[tuple[str, int, Point]]:
        """Where the last run was killed."""
        return {(step.name, *step.killed_at) for step in self.world.points.steps if step.killed_at}

    def check(self, expected: dict[str, object], kill: Kill) -> set[tuple[str, int, Point]]:
        """Kill, and have the same come of it; gives where it was killed."""
        ended = self.run(kill)
        assert {name: (ended[name], rows) for name, rows in expected.items() if ended[name] != rows} == {}, (
            self.killed()
        )
        return self.killed()


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow_that_is_killed_anywhere_ends_as_if_nothing_had_happened(world: World, flow: Flow) -> None:
    killing = Killing(world, flow)
    expected = killing.run(lambda step, number: False)
    steps = [step for step in world.points.steps if step.points]
    points = {(step.name, number): point for step in steps for number, point in enumerate(step.points)}
    assert {point.site.name for point in points.values()} >= {*KILLED.get(flow.name, ())}
    killed: set[tuple[str, int, Point]] = set()
    for nth in range(max(len(step.points) for step in steps)):
        # Every call and every job of the flow dies once: at the first of its points, then at the second, …
        killed |= killing.check(expected, _at({place for place in points if place[1] == nth}))
    for place, point in points.items():
        if (*place, point) not in killed:  # what was killed before had changed the way of the flow
            killed |= killing.check(expected, _at({place}))
    assert {(*place, point) for place, point in points.items()} <= killed


def _at(places: Collection[tuple[str, int]]) -> Kill:
    return lambda step, number: (step, number) in places
