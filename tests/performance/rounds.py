"""Rounds: the contenders take turns, because the machine drifts more than they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int = 5
    seconds: float = 4.0
    warm_up: float = 2.0
    purchases: int = 80
    starts: int = 5
    rows: int = 1_000_000  # to lose and get back
    restarts: int = 3  # of every process
    left_alone: int = 1000  # requests

    @classmethod
    def quick(cls) -> Effort:
        """Enough to see that everything runs; the figures mean little."""
        return cls(rounds=2, seconds=1.0, warm_up=1.0, purchases=8, starts=2, rows=10_000, restarts=1, left_alone=200)


def take_turns(effort: Effort, contenders: Sequence[Callable[[float], T]]) -> list[list[T]]:
    """Let each contender run for a while, in turn; gives what each measured, one value a round.

    Every other round goes backwards, so that none is always the one that comes after another.
    """
    for contender in contenders:
        contender(effort.warm_up)
    measured: list[list[T]] = [[] for _ in contenders]
    for number in range(effort.rounds):
        order = list(enumerate(contenders))
        for index, contender in reversed(order) if number % 2 else order:
            measured[index].append(contender(effort.seconds))
    return measured
