"""Rounds: the contenders take turns, because the machine drifts more than they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int = 5
    seconds: float = 4.0
    warm_up: float = 2.0
    purchases: int = 32
    changes: int = 16  # policies that are changed in each round
    jobs: int = 600
    starts: int = 5
    rows: int = 300_000  # to lose and get back
    postings: int = 1_000_000
    restarts: int = 2  # of every process
    left_alone: float = 10.0  # seconds
    many: int = 1_000_000  # policies to have grown to
    quotes: int = 100_000  # to rate again
    policies: int = 20_000  # of a nightly run
    book: int = 100_000  # policies of a nightly run, where it may take its time
    offers: int = 1_000  # next terms to offer in a night
    lapses: int = 10_000  # policies that are to lapse while others are bought

    @classmethod
    def quick(cls) -> Effort:
        """Enough to see that everything runs; the figures mean little."""
        return cls(
            rounds=2, seconds=1.0, warm_up=0.5, purchases=8, changes=4, jobs=60, starts=2, rows=10_000, postings=20_000,
            restarts=1, left_alone=2.0, many=20_000, quotes=4_000, policies=2_000, book=5_000,
            offers=200, lapses=1_000,
        )  # fmt: skip


def take_turns(
    effort: Effort, contenders: Mapping[str, Callable[[float], T]], *, warm_up: bool = True
) -> dict[str, list[T]]:
    """Let each contender run for a while, in turn; gives what each measured, one value a round.

    Every other round goes backwards, so that none is always the one that comes after another.
    """
    if warm_up:
        for contender in contenders.values():
            contender(effort.warm_up)
    measured: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(effort.rounds):
        order = list(contenders.items())
        for name, contender in reversed(order) if number % 2 else order:
            measured[name].append(contender(effort.seconds))
    return measured
