"""A flow: what is there before, and what is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.world import World
from tests.support.people import Person


@dataclass
class Case:
    """Policies of somebody, as a flow finds them."""

    person: Person
    policy_id: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """What is there before, and what is done."""

    name: str
    prepare: Callable[[World], Case]
    act: Callable[[World, Case], None]


def bought(plan: str = "monthly") -> Callable[[World], Case]:
    """A policy whose first premium is paid."""

    def prepare(world: World) -> Case:
        person = world.buyer()
        return Case(person, world.in_force(person, plan))

    return prepare
