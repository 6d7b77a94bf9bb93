"""What a version of a product says of premium that is not paid: days of grace, and what is done on which day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Action(StrEnum):
    """What a step of dunning does."""

    RETRY = "retry"
    REMIND = "remind"
    NOTICE = "notice"
    LAPSE = "lapse"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of dunning."""

    number: int
    """Its position, counted from 1."""
    day: int
    """Days after the due date."""
    action: Action


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was done: what was past due then, in minor units, and until when there was cover."""

    number: int
    action: Action
    day: int
    amount: int
    grace_ends_on: date
    done_at: datetime


@dataclass(frozen=True, slots=True)
class Dunning:
    """The days of cover after a due date, and the steps within them, by their days."""

    grace_days: int
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, grace_days: int, steps: Iterable[tuple[int, Action]]) -> Dunning:
        """Dunning with its steps in their order."""
        return cls(grace_days, tuple(Step(number, day, action) for number, (day, action) in enumerate(steps, 1)))


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """What a version of a product says of premium that is not paid. It never changes."""

    product_code: str
    product_version: int
    dunning: Dunning | None = None
    """None where nothing is done but to say that premium is past due."""


NO_TERMS = ProductTerms("", 0)
"""Those of policies that were billed before payments was told of products."""
