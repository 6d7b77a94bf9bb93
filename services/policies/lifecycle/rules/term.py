"""A term: the days for which a contract is agreed, in stretches within which cover and price are the same.

The one rule of its money. What the whole term would cost on the answers of a stretch is that stretch's full-term amount
`a`, by object and coverage. Up to a day `d`, a coverage has used S(d): the exact sum of a × days / all days of the
term over its stretches. Written is S(end of the term), earned on a day is S of that day, each rounded once; a stretch
shows the difference of its two rounded ends. So stretches add up, and a coverage that nobody touches never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from operator import itemgetter

from libs.money import Money, round_half_even
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind

_first = itemgetter(0)
Item = tuple[str, str]
"""What has a price of its own: the name of the insured object, empty where there is none, and a coverage's code."""


@dataclass(frozen=True)
class Risk:
    """What is insured, and what was asked about it."""

    answers: Mapping[str, object]
    objects: tuple[InsuredObject, ...]
    coverages: tuple[Coverage, ...]

    @cached_property
    def key(self) -> str:
        """What it is recognised by, in whatever order its answers, objects and coverages stand."""
        objects = [(item.id, item.code, sorted(item.fields.items()), item.identifier) for item in self.objects]
        coverages = [(item.code, item.to_minor()) for item in self.coverages]
        return repr((sorted(self.answers.items()), sorted(objects, key=_first), sorted(coverages, key=_first)))


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a term within which nothing changes: its days, [start, end), its risk and its price."""

    starts_on: date
    ends_on: date
    risk: Risk
    full_term: Mapping[Item, Money]
    """What the whole term would cost on this risk."""


class EndKind(StrEnum):
    """How cover of a term ended before its time."""

    NOT_TAKEN = "not_taken"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Ended:
    """How cover of a term ends before its time, and the first day without it."""

    kind: EndKind
    on: date


@dataclass(frozen=True, slots=True)
class Term:
    """A period for which the contract is agreed, as one version of its timeline has it."""

    number: int
    starts_on: date
    ends_on: date
    currency: str
    product_version: int
    segments: tuple[Segment, ...]
    """In order. Days between two of them are not covered."""
    cover_starts_at: datetime | None = None
    """When cover begins; None while it waits for a payment."""
    ended: Ended | None = None
    charges: tuple[ChargeLine, ...] = ()
    """Its taxes, its fees, and what is kept of cover that was given back."""

    @property
    def days(self) -> int:
        """The days of the whole term, whatever part of it is covered."""
        return (self.ends_on - self.starts_on).days

    @property
    def items(self) -> list[Item]:
        """What has a price in any segment, in the order in which it came."""
        return list(dict.fromkeys(item for segment in self.segments for item in segment.full_term))

    def accrued(self, item: Item, day: date) -> Fraction:
        """S(day): the exact part of the price that the days before `day` use, in minor units."""
        used = sum(
            segment.full_term[item].minor * max(0, (min(day, segment.ends_on) - segment.starts_on).days)
            for segment in self.segments
            if item in segment.full_term
        )
        return Fraction(used, self.days)

    def earned(self, item: Item, day: date) -> Money:
        """What the days before `day` use of the price."""
        return Money(round_half_even(self.accrued(item, day)), self.currency)

    def written(self, item: Item) -> Money:
        """What the term costs, for the days that are covered."""
        return self.earned(item, self.ends_on)

    def nets(self) -> list[Mapping[Item, Money]]:
        """What each segment shows as its price. They add up to what is written."""
        if self._is_of_one_piece:
            return [self.segments[0].full_term]
        used, nets = dict.fromkeys(self.items, 0), list[Mapping[Item, Money]]()
        for segment in self.segments:
            days = (segment.ends_on - segment.starts_on).days
            net = {}
            for item, full_term in segment.full_term.items():
                before = self._rounded(used[item])
                used[item] += full_term.minor * days
                net[item] = self._rounded(used[item]) - before
            nets.append(net)
        return nets

    def lines(self) -> list[ChargeLine]:
        """Everything that the term costs: the net premium by object and coverage, and its charges."""
        premium = [
            ChargeLine(
                LineKind.PREMIUM,
                amount,
                self.starts_on,
                self.ends_on,
                coverage_code=coverage_code,
                object_id=object_id,
                term_number=self.number,
                commissionable=True,
            )
            for (object_id, coverage_code), amount in self._all_written().items()
        ]
        return [*premium, *self.charges]

    def segment_on(self, day: date) -> Segment | None:
        """The segment that a day is part of."""
        return next((segment for segment in self.segments if segment.starts_on <= day < segment.ends_on), None)

    @property
    def _is_of_one_piece(self) -> bool:
        """Whether nothing changes from the first to the last of its days."""
        days = [(segment.starts_on, segment.ends_on) for segment in self.segments]
        return days == [(self.starts_on, self.ends_on)]

    def _all_written(self) -> Mapping[Item, Money]:
        """What the term costs, as `written` says of each item. One pass: a term may have many of both."""
        if self._is_of_one_piece:
            return self.segments[0].full_term
        used: dict[Item, int] = {}
        for segment in self.segments:
            days = (segment.ends_on - segment.starts_on).days
            for item, full_term in segment.full_term.items():
                used[item] = used.get(item, 0) + full_term.minor * days
        return {item: self._rounded(minor_days) for item, minor_days in used.items()}

    def _rounded(self, minor_days: int) -> Money:
        """Minor units times days that were used, as a part of the price of the whole term."""
        return Money(round_half_even(Fraction(minor_days, self.days)), self.currency)
