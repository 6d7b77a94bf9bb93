"""Kinds of jobs, and the queues that they wait in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

QUEUES: Final = ("mailers", "notifications", "payments", "processing", "default")


Arguments = TypeVar("Arguments")
Row = TypeVar("Row")


class UnknownQueue(ValueError):
    """There is no queue of that name."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"there is no queue {queue!r}; the queues are {', '.join(QUEUES)}")


class GiveUp(Exception):
    """Trying again cannot help: the job fails at once, and waits for a person."""


def required(row: Row | None, name: str, row_id: UUID) -> Row:
    """The row that a job is about. A row that is not there will not be there later: `GiveUp`, naming it."""
    if row is None:
        raise GiveUp(f"there is no {name} {row_id}")
    return row


@dataclass(frozen=True, slots=True)
class Nothing:
    """The arguments of a kind that needs none: of what runs by a schedule."""


@dataclass(frozen=True, slots=True)
class JobKind(Generic[Arguments]):
    """A kind of job: its name (`orders.open_account`), its arguments, the queue it waits in, and who goes first there.

    `arguments` is a frozen dataclass. Its values are stored with the job as JSON and shown to operators, so it holds
    identifiers and numbers, and never a secret. A field that is added later needs a default, for the jobs of before.

    One that is `endless` is tried until it succeeds or gives up: for what has to come about, however long a neighbour
    is away. Nobody looks into a queue that is not on the list, so a kind with such a queue cannot be made.

    One that is `daily` runs once a day at that time, `03:23` in UTC, by the clock of the domain: what follows from the
    passing of days. Where that clock is moved, it runs on every day that is passed over.
    """

    name: str
    arguments: type[Arguments]
    queue: str = "default"
    priority: int = 0  # higher goes first
    endless: bool = False
    daily: str = ""
    _stored: TypeAdapter[Arguments] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_queue(self.queue)
        if self.daily:
            time.fromisoformat(self.daily)
        object.__setattr__(self, "_stored", TypeAdapter(self.arguments))

    def dump(self, arguments: Arguments) -> dict[str, Any]:
        """The arguments as JSON has them."""
        stored: dict[str, Any] = self._stored.dump_python(arguments, mode="json")
        return stored

    def load(self, stored: dict[str, Any]) -> Arguments:
        """The arguments of what `dump` made. `ValidationError` names each that is missing or of another type."""
        return self._stored.validate_python(stored)

    def last_occurrence(self, now: datetime) -> datetime:
        """When a daily kind was to run for the last time by `now`."""
        today = datetime.combine(now.astimezone(UTC).date(), time.fromisoformat(self.daily), UTC)
        return today if today <= now else today - timedelta(days=1)

    def next_occurrence(self, now: datetime) -> datetime:
        """When a daily kind is to run for the first time after `now`."""
        return self.last_occurrence(now) + timedelta(days=1)


def check_queue(queue: str) -> None:
    """`UnknownQueue` when nobody works on it."""
    if queue not in QUEUES:
        raise UnknownQueue(queue)
