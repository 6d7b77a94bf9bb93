"""The policies of a simulation while it runs: what is known of each, and what is counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from bazarutod.simulate.calling import Caller, Json
from bazarutod.simulate.lives import Life


@dataclass
class Held:
    """A policy that was bought."""

    life: Life
    holder: Caller
    policy_id: str
    number: str
    method_id: str = ""
    """The payment method that the platform collects with; empty where somebody pays by hand."""
    is_failing: bool = False
    last_change: str = ""
    """The last transaction that somebody made, and that may be reversed."""

    @property
    def account_id(self) -> str:
        """The billing account of the policy."""
        return self.policy_id.replace("pol_", "bac_")

    @property
    def path(self) -> str:
        """Where the policy is read."""
        return f"/v1/policies/{self.policy_id}"

    def dice(self, *about: object) -> Random:
        """Dice of this policy for one decision: the same in each simulation of the seed."""
        return Random(":".join(map(str, (self.life.seed, *about))))  # noqa: S311 - to be repeated


@dataclass
class Book:
    """All policies by their identifiers, what is to be done on which day, and counts."""

    first_day: date
    held: dict[str, Held] = field(default_factory=dict)
    customers: dict[int, Caller] = field(default_factory=dict)
    bills: defaultdict[date, list[tuple[Held, str]]] = field(default_factory=lambda: defaultdict(list))
    """Invoices by the day on which somebody pays them by hand."""
    restorations: defaultdict[date, list[tuple[Held, bool]]] = field(default_factory=lambda: defaultdict(list))
    """Lapsed policies by the day on which they are paid for (true) or put back (false)."""
    billed: set[str] = field(default_factory=set)
    """Invoices that were looked at."""
    unbilled: set[str] = field(default_factory=set)
    """Policies whose first invoice was not seen yet."""
    lapsed: set[str] = field(default_factory=set)
    """Policies that were seen lapsed on the day before."""
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By deed and reason."""

    def day(self, moment: date) -> int:
        """The number of a day of the simulation, from 0."""
        return (moment - self.first_day).days

    def date(self, day: int) -> date:
        """The day of that number."""
        return self.first_day + timedelta(days=day)


def as_json(day: date) -> Json:
    """A day as the API has it."""
    return {"year": day.year, "month": day.month, "day": day.day}


def as_date(day: Json) -> date:
    """A day of the API."""
    return date(day["year"], day["month"], day["day"])
