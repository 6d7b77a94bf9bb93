"""Calculating with the products of the catalogue: each version is compiled once and kept, as it never changes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting import measures
from services.quotes.quoting.rules.calculation import Calculation, Calculator, compile_calculator
from services.quotes.quoting.rules.quote import Quote
from services.quotes.rating.rules.pricing import Risk, Tariff


class Calculators:
    """The compiled products of this process. All threads that answer calls share it."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, int], Calculator] = {}

    def prepare(self, product: Product) -> None:
        """Compile a product version that was just read, before anybody asks for its prices."""
        self._compiled[product.code, product.version] = compile_calculator(product)
        measures.begin_at_nought(product.code)

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

    def with_lines(self, catalogue: Catalogue, quote: Quote) -> Quote:
        """A quote with the lines of its price: one of a program that knew none gets those that its version gives."""
        if quote.price is None or quote.price.lines or quote.starts_on is None:
            return quote
        product = catalogue.version(quote.product_code, quote.product_version)
        if product is None:
            return quote
        rated = self.tariff(product).rate(quote.answers, quote.coverages, quote.starts_on, quote.objects)
        return replace(quote, price=quote.price._replace(lines=rated.lines))
