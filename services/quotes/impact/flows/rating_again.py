"""Rating quotes again with a version of their product, one part after another."""

from __future__ import annotations

from collections.abc import Iterable

from libs.errors import DomainError
from services.quotes.impact.rules.impact import Before, Impact
from services.quotes.quoting.rules.calculation import Calculation, Calculator
from services.quotes.quoting.store.portfolio import PricedQuote


def rate_again(impact: Impact, calculator: Calculator, quotes: Iterable[PricedQuote]) -> None:
    """Count what the version makes of quotes, each for the term that it is for."""
    price, decide = calculator.tariff.price_from, calculator.decide
    for quote in quotes:
        try:
            priced = price(quote.risk, quote.starts_on)
        except DomainError as error:
            impact.add_unrated(error)
        else:
            after = Calculation(priced, decide(priced.facts))
            impact.add(Before(quote.id, quote.number, *quote[4:]), after)
