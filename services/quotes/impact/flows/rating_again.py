"""Rating quotes again with a version of their product, one part after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from libs.errors import DomainError
from services.quotes.impact.rules.impact import Before, Impact
from services.quotes.quoting.rules.calculation import Calculation, Calculator
from services.quotes.quoting.store.portfolio import PricedQuote


def rate_again(impact: Impact, calculator: Calculator, quotes: Iterable[PricedQuote]) -> None:
    """Count what the version makes of quotes, each for the term that it is for, as an underwriter approved it."""
    tariff, decide = calculator.tariff, calculator.decide
    for quote in quotes:
        try:
            priced = tariff.price_from(quote.risk, quote.starts_on)
        except DomainError as error:
            impact.add_unrated(error)
        else:
            loadings = quote.approval.loadings
            if loadings:
                loaded = tariff.load(priced.price, loadings, quote.starts_on, quote.risk.occasion)
                priced = replace(priced, price=loaded)
            after = Calculation(priced, decide(priced.facts), quote.approval)
            before = Before(
                quote.id, quote.number, quote.currency, quote.total, quote.steps, quote.outcome, quote.rules
            )
            impact.add(before, after)
