"""The impact of a product version: prices that were given, against what the same risks cost with the version.

It is added up risk by risk and never holds more than a few numbers for each step and rule, however many risks there
are. Amounts are in minor units of the product's currency.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from libs.errors import DomainError
from services.quotes.quoting.rules.calculation import Calculation
from services.quotes.quoting.rules.underwriting import Outcome

EDGES = (0, 1, 2, 5, 10, 15, 20, 30, 50, 100)
"""Percents between which changes are told apart, up and down; what falls by more than 50 % is one bucket with 100 %."""
LARGEST = 10
_MOST_CAUSES = 50  # of risks that cannot be rated; what comes after these is told apart by its reason only


class Before(NamedTuple):
    """What a quote says: its price, the amount of each step in it, and how it was decided."""

    quote_id: UUID
    number: str
    currency: str
    total: int
    steps: Sequence[tuple[str, int]]
    outcome: Outcome
    rules: frozenset[str]
    """The rules that referred or declined it."""


class Change(NamedTuple):
    """A quote with another total."""

    quote_id: UUID
    number: str
    old: int
    new: int

    @property
    def amount(self) -> int:
        """What is added; negative where it becomes cheaper."""
        return self.new - self.old


class Cause(NamedTuple):
    """Why a risk cannot be rated: the reason of the error, and what it is about."""

    reason: str
    about: str


@dataclass(slots=True)
class Factor:
    """What a step of the price adds to all risks together."""

    risks: int = 0
    old: int = 0
    new: int = 0


@dataclass(slots=True)
class Impact:
    """What was found among the risks that were looked at."""

    seen: int = 0
    old_total: int = 0
    new_total: int = 0
    buckets: Counter[int] = field(default_factory=Counter)
    """By the number that `bucket_of` gives."""
    factors: dict[str, Factor] = field(default_factory=dict)
    increases: list[Change] = field(default_factory=list)
    decreases: list[Change] = field(default_factory=list)
    decisions: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)
    rules: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    unrated: Counter[Cause] = field(default_factory=Counter)

    def add(self, before: Before, after: Calculation) -> None:
        """Count a risk that can be rated."""
        price, decision = after.risk.price, after.decision
        if price.currency != before.currency:
            self._add_cause(Cause("CURRENCY_MISMATCH", price.currency))
            return
        self.seen += 1
        change = Change(before.quote_id, before.number, before.total, price.total)
        self.old_total += change.old
        self.new_total += change.new
        self.buckets[bucket_of(change.old, change.new)] += 1
        self._add_steps(before.steps, [(step.name, step.amount) for step in price.steps])
        if change.new > change.old:
            _keep_largest(self.increases, change)
        elif change.new < change.old:
            _keep_largest(self.decreases, change)
        self.decisions[before.outcome, after.approval.outcome(decision)] += 1
        for reason in decision.reasons:
            if reason.rule_code not in before.rules:
                self.rules[reason.rule_code, decision.outcome] += 1

    def add_unrated(self, error: DomainError) -> None:
        """Count a risk that the version does not take."""
        self._add_cause(Cause(error.reason, next(iter(error.metadata.values()), "")))

    def _add_cause(self, cause: Cause) -> None:
        self.seen += 1
        if cause not in self.unrated and len(self.unrated) >= _MOST_CAUSES:
            cause = Cause(cause.reason, "")
        self.unrated[cause] += 1

    def _add_steps(self, old: Iterable[tuple[str, int]], new: Iterable[tuple[str, int]]) -> None:
        factors = self.factors
        for name, amount in old:
            factor = factors.get(name) or factors.setdefault(name, Factor())
            factor.old += amount
        counted = set()
        for name, amount in new:
            factor = factors.get(name) or factors.setdefault(name, Factor())
            factor.new += amount
            if name not in counted:  # a step on several coverages is one step of the risk
                counted.add(name)
                factor.risks += 1


def bucket_of(old: int, new: int) -> int:
    """The bucket of a change: 0 for none, 1 for up to the first of `EDGES` in percent, …, below 0 where it falls.

    A change of just an edge is in the bucket nearer to 0. What cost nothing and now costs something is in the last one.
    """
    amount = new - old
    if not amount:
        return 0
    percents = abs(amount) * 100
    index = bisect_left(EDGES, percents / old, 1) if old else len(EDGES)
    # A quotient of floats may lie beside an edge that the change is exactly on, or just behind.
    while index > 1 and percents <= EDGES[index - 1] * old:
        index -= 1
    while index < len(EDGES) and percents > EDGES[index] * old:
        index += 1
    return index if amount > 0 else -index


def ends_of(bucket: int) -> tuple[int, int | None]:
    """The ends of a bucket in percent, the one nearer to 0 first; the other one None where there is none."""
    if not bucket:
        return 0, 0
    index, sign = abs(bucket), 1 if bucket > 0 else -1
    far = sign * EDGES[index] if index < len(EDGES) else None
    return sign * EDGES[index - 1], far


def _keep_largest(changes: list[Change], change: Change) -> None:
    """Keep a change if it is among the largest; of two that are equal, the one that came first."""
    if len(changes) == LARGEST and abs(change.amount) <= abs(changes[-1].amount):
        return
    place = next((i for i, kept in enumerate(changes) if abs(kept.amount) < abs(change.amount)), len(changes))
    changes.insert(place, change)
    del changes[LARGEST:]
