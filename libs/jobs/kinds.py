"""Kinds of jobs, and the queues that they wait in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUEUES: Final = ("mailers", "notifications", "payments", "processing", "default")


class UnknownQueue(ValueError):
    """There is no queue of that name."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"there is no queue {queue!r}; the queues are {', '.join(QUEUES)}")


class GiveUp(Exception):
    """Trying again cannot help: the job fails at once, and waits for a person."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its name (`policies.open_billing`), the queue it waits in, and who goes first there.

    One that is `endless` is tried until it succeeds or gives up: for what has to come about, however long a neighbour
    is away. Nobody looks into a queue that is not on the list, so a kind with such a queue cannot be made.
    """

    name: str
    queue: str = "default"
    priority: int = 0  # higher goes first
    endless: bool = False

    def __post_init__(self) -> None:
        check_queue(self.queue)


def check_queue(queue: str) -> None:
    """`UnknownQueue` when nobody works on it."""
    if queue not in QUEUES:
        raise UnknownQueue(queue)
