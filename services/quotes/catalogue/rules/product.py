"""Products: versioned data that says what is covered, what is asked, and how a price comes about.

A version never changes once it is published, so that a quote can be reproduced for as long as it is kept. The
dataclasses have the shape of the product files; `reading` reads and checks those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from libs.calendar import day_of, year_after
from libs.errors import Refused

Answer = bool | int | str
Answers = Mapping[str, Answer]

LIMIT = "limit"
DEDUCTIBLE = "deductible"
CHOSEN = (LIMIT, DEDUCTIBLE)  # what a step can depend on beside answers: what was chosen of its coverage


class ProductNotAvailable(Refused):
    """No version of the product is on sale today."""

    reason = "PRODUCT_NOT_AVAILABLE"


class Part:
    """A part of a product file. Keys that it does not know are refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Question(Part):
    """What is asked, and the answers that are accepted."""

    code: str
    text: str
    type: Literal["integer", "boolean", "choice"]
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageOffer(Part):
    """A coverage with the amounts to choose from; the first is the default."""

    code: str
    display_name: str
    mandatory: bool = False
    limits: tuple[Decimal, ...] = ()
    deductibles: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison(Part):
    """What must hold of an answer; everything that is set must."""

    equals: Answer | None = None
    one_of: tuple[Answer, ...] = ()
    at_least: int | None = None
    at_most: int | None = None


Condition = dict[str, Comparison]
"""Comparisons by question; all of them must hold."""

StepKind = Literal["base", "factor", "discount", "loading", "minimum", "tax", "fee"]


@dataclass(frozen=True, slots=True)
class Step(Part):
    """One named step of the price.

    `base` starts a coverage with `amount`, or `amount` for each of the `per` answers, or `rate` of the sum in `of`.
    `factor`, `discount` and `loading` multiply by a rate, or by what `table` has for the answer in `by`, where `when`
    holds; on each of `coverages`, or on the whole premium when there are none. `minimum`, `tax` and `fee` concern
    the whole premium.
    """

    name: str
    kind: StepKind
    coverages: tuple[str, ...] = ()
    amount: Decimal | None = None
    per: tuple[str, ...] = ()
    rate: Decimal | None = None
    of: str = ""
    by: str = ""
    table: dict[str, Decimal] = field(default_factory=dict)
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule(Part):
    """An underwriting rule. One that approves takes back the referrals that it waives.

    `level` is the authority, from 0 to 9, that an underwriter needs to approve what a rule refers.
    """

    code: str
    decision: Literal["approve", "refer", "decline"]
    text: str
    when: Condition
    waives: tuple[str, ...] = ()
    level: int = 0


@dataclass(frozen=True, slots=True)
class InstallmentPlan(Part):
    """A way to spread the price over the term; the first installment is due at issue."""

    code: str
    display_name: str
    installments: int


@dataclass(frozen=True, slots=True)
class Term(Part):
    """How long cover lasts: one year, or as many days as the answer to the question `days` says."""

    years: Literal[1] | None = None
    days: str = ""

    def end(self, starts_on: date, answers: Answers) -> date:
        """The first day without cover."""
        if self.days:
            return starts_on + timedelta(days=int(answers[self.days]))
        return year_after(starts_on)


@dataclass(frozen=True, slots=True)
class Product(Part):
    """One version of a product."""

    code: str
    version: int
    display_name: str
    description: str
    currency: str
    time_zone: str
    on_sale_from: date
    validity_days: int
    term: Term
    coverages: tuple[CoverageOffer, ...]
    questions: tuple[Question, ...]
    rating: tuple[Step, ...]
    underwriting: tuple[Rule, ...]
    plans: tuple[InstallmentPlan, ...]
    on_sale_until: date | None = None

    def today(self, now: datetime) -> date:
        """The day that it is where the product is sold."""
        return day_of(now, self.time_zone)
