"""Pricing a risk: its answers, objects and coverages checked, its days of cover fixed, its price worked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from libs.errors import Invalid
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.product import Answer, Answers, Product
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.rating.rules.answers import compile_answers
from services.quotes.rating.rules.charges import AddCharges, compile_charges
from services.quotes.rating.rules.contradictions import compile_checks
from services.quotes.rating.rules.coverage import Choose, compile_choice
from services.quotes.rating.rules.facts import Facts, MakeFacts, compile_facts
from services.quotes.rating.rules.loading import Loading, load
from services.quotes.rating.rules.objects import CheckObjects, compile_objects
from services.quotes.rating.rules.price import Price
from services.quotes.rating.rules.rating import Rate, compile_rating


class StartDateInvalid(Invalid):
    """The start date is in the past or too far ahead."""

    reason = "START_DATE_INVALID"


@dataclass(frozen=True, slots=True)
class Risk:
    """What is to be priced, as it was asked. Without a start date, cover begins today."""

    answers: Mapping[str, object]
    coverages: Sequence[Coverage] = ()
    starts_on: date | None = None
    objects: Sequence[InsuredObject] = ()
    occasion: FeeOccasion = "new_business"
    added: Mapping[str, date] = field(default_factory=dict)
    """The day on which an object was added to a term that had begun, by its name."""


@dataclass(frozen=True, slots=True)
class PricedRisk:
    """A risk with its price: everything that was asked, checked and completed."""

    product: Product
    starts_on: date
    ends_on: date
    answers: Mapping[str, Answer]
    coverages: tuple[Coverage, ...]
    objects: tuple[InsuredObject, ...]
    facts: Facts
    price: Price


@dataclass(frozen=True, slots=True)
class Tariff:
    """A product version, ready to price with."""

    product: Product
    check_answers: Callable[[Mapping[str, object]], dict[str, Answer]]
    check_objects: CheckObjects
    make_facts: MakeFacts
    refuse_contradictions: Callable[[Facts], None]
    choose: Choose
    rate_facts: Rate
    add_charges: AddCharges

    def price(self, risk: Risk, now: datetime) -> PricedRisk:
        """Price a risk at a moment. Raises the state that keeps it from being priced."""
        return self.price_from(risk, self.first_day(risk.starts_on, now))

    def price_from(self, risk: Risk, starts_on: date) -> PricedRisk:
        """Price a risk for a term that begins on any day, past days among them."""
        answers = self.check_answers(risk.answers)
        insured = self.check_objects(risk.objects)
        facts = self.make_facts(answers, insured, starts_on, risk.added)
        self.refuse_contradictions(facts)
        coverages = self.choose(risk.coverages)
        ends_on = self.product.term.end(starts_on, answers)
        price = self.rate_facts(facts, coverages, starts_on, risk.occasion)
        return PricedRisk(self.product, starts_on, ends_on, answers, coverages, insured, facts, price)

    def rate(
        self,
        answers: Answers,
        coverages: Sequence[Coverage],
        starts_on: date,
        objects: Sequence[InsuredObject] = (),
        occasion: FeeOccasion = "new_business",
    ) -> Price:
        """The price of what was checked before: stored answers, objects and coverages of this version."""
        facts = self.make_facts(answers, objects, starts_on, {})
        return self.rate_facts(facts, coverages, starts_on, occasion)

    def load(
        self, price: Price, loadings: Sequence[Loading], starts_on: date, occasion: FeeOccasion = "new_business"
    ) -> Price:
        """A price of this version with what an underwriter adds to it."""
        return load(price, loadings, self.add_charges, starts_on, occasion)

    def first_day(self, asked: date | None, now: datetime) -> date:
        """The first day of cover: today where none is asked for. `StartDateInvalid` names the days there are."""
        earliest = self.product.today(now)
        latest = latest_start(earliest, self.product.cover.latest_days)
        if asked is None:
            return earliest
        if not earliest <= asked <= latest:
            raise StartDateInvalid(earliest=earliest, latest=latest)
        return asked


def latest_start(today: date, days_ahead: int = 60) -> date:
    """The latest first day of cover that can be asked for on a day."""
    return today + timedelta(days=days_ahead)


def compile_tariff(product: Product) -> Tariff:
    """Make a product version ready to price with; it is done once and kept."""
    return Tariff(
        product,
        compile_answers(product),
        compile_objects(product),
        compile_facts(product),
        compile_checks(product),
        compile_choice(product),
        compile_rating(product),
        compile_charges(product),
    )
