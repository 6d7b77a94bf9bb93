"""Calculating with the products of the catalogue: each version is compiled once and kept, as it never changes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting import measures
from services.quotes.quoting.rules.approval import Approval, kept
from services.quotes.quoting.rules.calculation import Calculation, Calculator, compile_calculator
from services.quotes.quoting.rules.policy_quote import OCCASIONS
from services.quotes.quoting.rules.quote import Kind, Quote
from services.quotes.quoting.rules.referral import Terms
from services.quotes.rating.rules.coverage import with_deductibles
from services.quotes.rating.rules.pricing import Risk, Tariff


class Calculators:
    """The compiled products of this process. All threads that answer calls share it."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, int], Calculator] = {}

    def prepare(self, product: Product) -> None:
        """Compile a product version that was just read, before anybody asks for its prices."""
        self._compiled[product.code, product.version] = compile_calculator(product)
        measures.begin_at_nought(product.code)

    def of(self, product: Product) -> Calculator:
        """A prepared product version, ready to price and to decide with."""
        return self._compiled[product.code, product.version]

    def tariff(self, product: Product) -> Tariff:
        """A prepared product version, ready to price with."""
        return self._compiled[product.code, product.version].tariff

    def calculate(self, product: Product, risk: Risk, now: datetime) -> Calculation:
        """Price a risk with a prepared product version and decide on it, and count the time that it takes."""
        calculator = self._compiled[product.code, product.version]
        start = time.perf_counter()
        try:
            return calculator.calculate(risk, now)
        finally:
            measures.calculation_duration.labels(product.code).observe(time.perf_counter() - start)

    def calculate_again(self, product: Product, quote: Quote, risk: Risk, now: datetime) -> Calculation:
        """Price what a quote asks from now on. What an underwriter approved stands where its rules read no change."""
        calculation = self.calculate(product, risk, now)
        if not quote.approval.rules or product.version != quote.product_version or quote.starts_on is None:
            return calculation
        tariff, priced = self.tariff(product), calculation.risk
        before = tariff.make_facts(quote.answers, quote.objects, quote.starts_on, {})
        approval = kept(quote.approval, product, before, priced.facts)
        coverages = with_deductibles(priced.coverages, approval.deductibles)
        if coverages != priced.coverages:
            priced = tariff.price(replace(risk, coverages=coverages), now)
        price = tariff.load(priced.price, approval.loadings, priced.starts_on)
        return replace(calculation, risk=replace(priced, price=price), approval=approval)

    def terms(self, product: Product, quote: Quote, approval: Approval) -> Terms:
        """What a quote covers and costs with deductibles and loadings; of a quote for a policy, also what each segment
        costs that it changes. `CoverageInvalid` for a deductible that the product does not offer.
        """
        tariff, first_day = self.tariff(product), quote.starts_on
        if first_day is None:
            raise ValueError("a quote without a first day has no price")
        coverages, occasion = quote.coverages, OCCASIONS[quote.kind]
        if approval.deductibles:
            coverages = tariff.choose(with_deductibles(coverages, approval.deductibles))
        if quote.kind is not Kind.ENDORSEMENT:
            rated = tariff.rate(quote.answers, coverages, first_day, quote.objects, occasion)
            price = tariff.load(rated, approval.loadings, first_day, occasion)
            segments = tuple(replace(segment, coverages=coverages, price=price) for segment in quote.segments)
            return Terms(coverages, price, segments)
        # Their prices have the loadings that were carried on from earlier quotes.
        added = approval.loadings[len(quote.approval.loadings) :]
        segments = tuple(
            replace(segment, price=tariff.load(segment.price, added, first_day, occasion))
            if segment.is_changed
            else segment
            for segment in quote.segments
        )
        return Terms(coverages, segments[-1].price, segments)

    def with_lines(self, catalogue: Catalogue, quote: Quote) -> Quote:
        """A quote with the lines of its price: one of a program that knew none gets those that its version gives."""
        if quote.price is None or quote.price.lines or quote.starts_on is None:
            return quote
        product = catalogue.version(quote.product_code, quote.product_version)
        if product is None:
            return quote
        rated = self.tariff(product).rate(quote.answers, quote.coverages, quote.starts_on, quote.objects)
        return replace(quote, price=quote.price._replace(lines=rated.lines))
