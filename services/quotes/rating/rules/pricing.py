"""Pricing a risk: its answers and coverages checked, its days of cover fixed, its price worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from libs.errors import Invalid
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.product import Answer, Product
from services.quotes.rating.rules import answers, objects
from services.quotes.rating.rules.coverage import Choose, compile_choice
from services.quotes.rating.rules.rating import Price, Rate, compile_rating

MOST_DAYS_AHEAD = 60  # days from today to the latest first day of cover


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


@dataclass(frozen=True, slots=True)
class PricedRisk:
    """A risk with its price: everything that was asked, checked and completed."""

    product: Product
    starts_on: date
    ends_on: date
    answers: Mapping[str, Answer]
    coverages: tuple[Coverage, ...]
    objects: tuple[InsuredObject, ...]
    price: Price


@dataclass(frozen=True, slots=True)
class Tariff:
    """A product version, ready to price with."""

    product: Product
    choose: Choose
    rate: Rate

    def price(self, risk: Risk, now: datetime) -> PricedRisk:
        """Price a risk at a moment. Raises the state that keeps it from being priced."""
        starts_on = self.first_day(risk.starts_on, now)
        checked = answers.check(self.product, risk.answers)
        insured = objects.check(self.product, risk.objects)
        coverages = self.choose(risk.coverages)
        ends_on = self.product.term.end(starts_on, checked)
        return PricedRisk(self.product, starts_on, ends_on, checked, coverages, insured, self.rate(checked, coverages))

    def first_day(self, asked: date | None, now: datetime) -> date:
        """The first day of cover: today where none is asked for. `StartDateInvalid` names the days there are."""
        earliest = self.product.today(now)
        latest = latest_start(earliest)
        if asked is None:
            return earliest
        if not earliest <= asked <= latest:
            raise StartDateInvalid(earliest=earliest, latest=latest)
        return asked


def latest_start(today: date) -> date:
    """The latest first day of cover that can be asked for on a day."""
    return today + timedelta(days=MOST_DAYS_AHEAD)


def compile_tariff(product: Product) -> Tariff:
    """Make a product version ready to price with; it is done once and kept."""
    return Tariff(product, compile_choice(product), compile_rating(product))
