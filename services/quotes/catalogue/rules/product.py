"""Products: versioned data that says what is covered, what is asked, and how a price comes about.

A version never changes once it is published, so that a quote can be reproduced for as long as it is kept. The
dataclasses have the shape of the product files; `reading` reads and checks those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from libs.calendar import day_of, year_after
from libs.errors import Refused
from services.quotes.catalogue.rules.part import Part
from services.quotes.catalogue.rules.servicing import (
    Billing,
    Cancellation,
    Change,
    Claims,
    Cover,
    Dunning,
    Fee,
    Reinstatement,
    Renewal,
    Tax,
)

Answer = bool | int | str
"""What the contract and the database carry: dates, decimal numbers and amounts of money are text."""
Answers = Mapping[str, Answer]

LIMIT = "limit"
DEDUCTIBLE = "deductible"
CHOSEN = (LIMIT, DEDUCTIBLE)  # what a step can depend on beside answers: what was chosen of its coverage

MOST_OBJECTS = 100  # insured objects of a policy
LONGEST_TEXT = 200  # characters of a text answer, where a question says nothing else


class ProductNotAvailable(Refused):
    """No version of the product is on sale today."""

    reason = "PRODUCT_NOT_AVAILABLE"


QuestionType = Literal["integer", "boolean", "choice", "text", "date", "decimal", "money"]


@dataclass(frozen=True, slots=True)
class Question(Part):
    """What is asked, of the risk or of each object, and the answers that are accepted.

    `minimum` and `maximum` go with integer, decimal and money, `places` with decimal, `pattern` (of the whole text)
    and `maximum_length` with text. What `rating` is false of is declared and kept: no price, rule or check goes by it.
    """

    code: str
    type: QuestionType
    text: str = ""
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    maximum_length: int | None = None
    places: int | None = None
    rating: bool = True


@dataclass(frozen=True, slots=True)
class ObjectType(Part):
    """A kind of insured object: how many there can be, what is asked of each, and which field tells them apart."""

    code: str
    minimum: int
    maximum: int
    fields: tuple[Question, ...]
    identifier: str = ""
    display_name: str = ""

    @property
    def is_single(self) -> bool:
        """Whether there is always one of it, so that its fields are facts of the whole risk."""
        return self.minimum == self.maximum == 1


@dataclass(frozen=True, slots=True)
class Reference(Part):
    """What another question, field or derived value says, and so many more or fewer."""

    question: str
    plus: int = 0
    minus: int = 0


Bound = int | Decimal | date | Reference


@dataclass(frozen=True, slots=True)
class Comparison(Part):
    """What must hold of an answer; everything that is set must."""

    equals: Answer | None = None
    one_of: tuple[Answer, ...] = ()
    at_least: Bound | None = None
    at_most: Bound | None = None
    more_than: Bound | None = None
    less_than: Bound | None = None

    @property
    def bounds(self) -> dict[str, Bound]:
        """The comparisons by order that are set, by their keys."""
        orders = {name: getattr(self, name) for name in ("at_least", "at_most", "more_than", "less_than")}
        return {name: bound for name, bound in orders.items() if bound is not None}


Condition = dict[str, Comparison]
"""Comparisons by what they look at: a question, a field such as `vehicle.value`, a derived value. All must hold."""


@dataclass(frozen=True, slots=True)
class Derived(Part):
    """A whole number that follows from answers: full years since a date, or a count of objects.

    Years are counted at the first day of the term, for an object that is added later at the day it was added. Of an
    object of which there can be several, each has its own, unless `take` makes one of them all. A value out of range
    is an invalid answer to the question that it comes from.
    """

    code: str
    years_since: str = ""
    count: str = ""
    take: Literal["lowest", "highest"] | None = None
    when: Condition = field(default_factory=dict)
    minimum: int = 0
    maximum: int = 150


@dataclass(frozen=True, slots=True)
class Check(Part):
    """Answers that contradict each other: those of which `refuse` holds are refused, with the text."""

    code: str
    text: str
    refuse: Condition


@dataclass(frozen=True, slots=True)
class CoverageOffer(Part):
    """A coverage with the amounts to choose from; the first is the default.

    One that `covers` a kind of object is priced for each object of the kind; others are for the risk as a whole.
    """

    code: str
    display_name: str
    mandatory: bool = False
    limits: tuple[Decimal, ...] = ()
    deductibles: tuple[Decimal, ...] = ()
    covers: str = ""


StepKind = Literal["base", "factor", "discount", "loading", "minimum", "tax", "fee"]


@dataclass(frozen=True, slots=True)
class Step(Part):
    """One named step of the price.

    `base` starts a coverage with `amount`, or `amount` for each of the `per` answers, or `rate` of the sum in `of`.
    `factor`, `discount` and `loading` multiply by a rate, or by what `table` has for the answer in `by`, where `when`
    holds; on each of `coverages`, or on the whole premium when there are none. `minimum`, `tax` and `fee` concern
    the whole premium; products name their taxes and fees under `taxes` and `fees` instead, since those exist.
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
class GoldenObject(Part):
    """An insured object of a golden risk."""

    code: str
    fields: dict[str, Answer]


@dataclass(frozen=True, slots=True)
class GoldenCoverage(Part):
    """A coverage that a golden risk chooses."""

    code: str
    limit: Decimal | None = None
    deductible: Decimal | None = None


@dataclass(frozen=True, slots=True)
class GoldenRisk(Part):
    """A risk with the total that it must cost: whoever publishes a version sees which of them it would change."""

    name: str
    answers: dict[str, Answer]
    start_date: date
    expected_total: Decimal
    objects: tuple[GoldenObject, ...] = ()
    coverages: tuple[GoldenCoverage, ...] = ()


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
    objects: tuple[ObjectType, ...] = ()
    derive: tuple[Derived, ...] = ()
    checks: tuple[Check, ...] = ()
    taxes: tuple[Tax, ...] = ()
    fees: tuple[Fee, ...] = ()
    cover: Cover = Cover()  # noqa: RUF009 - frozen
    change: Change | None = None
    cancellation: tuple[Cancellation, ...] = ()
    renewal: Renewal | None = None
    reinstatement: Reinstatement | None = None
    dunning: Dunning | None = None
    billing: Billing | None = None
    claims: Claims | None = None
    golden_risks: tuple[GoldenRisk, ...] = ()

    def today(self, now: datetime) -> date:
        """The day that it is where the product is sold."""
        return day_of(now, self.time_zone)
