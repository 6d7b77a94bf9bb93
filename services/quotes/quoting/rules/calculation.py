"""Calculating a quote: the price of a risk, and what the underwriting rules say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting.rules.approval import NOTHING_APPROVED, Approval
from services.quotes.quoting.rules.underwriting import Decide, Decision, compile_rules
from services.quotes.rating.rules.pricing import PricedRisk, Risk, Tariff, compile_tariff


@dataclass(frozen=True, slots=True)
class Calculation:
    """A priced risk with the decision on it."""

    risk: PricedRisk
    decision: Decision
    approval: Approval = NOTHING_APPROVED
    """What an underwriter approved before, of a quote that is calculated again; its loadings are in the price."""


@dataclass(frozen=True, slots=True)
class Calculator:
    """A product version, ready to price and to decide with."""

    tariff: Tariff
    decide: Decide

    def calculate(self, risk: Risk, now: datetime) -> Calculation:
        """Price a risk at a moment and decide on it. Raises the state that keeps it from being priced."""
        priced = self.tariff.price(risk, now)
        return Calculation(priced, self.decide(priced.facts))


def compile_calculator(product: Product) -> Calculator:
    """Make a product version ready to calculate with; it is done once and kept."""
    return Calculator(compile_tariff(product), compile_rules(product))
