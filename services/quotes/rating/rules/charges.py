"""Taxes and fees of a price: each tax once by its code, on the whole net that is subject to it; fees as they stand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from libs.money import exponent
from libs.premium import LineKind
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.rating.rules.price import Line, PriceStep, half_even
from services.quotes.rating.rules.step import places_in, scaled

AddCharges = Callable[[int, date, FeeOccasion, list[PriceStep], list[Line]], tuple[int, int]]
"""From the net, the first day of the term, what the term is, and the steps and lines of the net, which get those of
taxes and fees added: the sum of taxes, and that of fees."""


class _Tax(NamedTuple):
    code: str
    factor: str
    numerator: int
    denominator: int
    coverages: frozenset[str]
    first: date
    last: date
    """Days on which a term begins for which it is charged."""


class _Fee(NamedTuple):
    code: str
    amount: int
    occasions: frozenset[str]
    """Empty: always."""


def compile_charges(product: Product) -> AddCharges:
    """A function that adds a product's taxes and fees to the steps and lines of a price."""
    charges: list[_Tax | _Fee] = [*_of_steps(product), *_taxes(product), *_fees(product)]

    def add(
        net: int, starts_on: date, occasion: FeeOccasion, steps: list[PriceStep], lines: list[Line]
    ) -> tuple[int, int]:
        tax = fees = 0
        count = len(lines)
        for charge in charges:
            if isinstance(charge, _Fee):
                code, amount, occasions = charge
                if occasions and occasion not in occasions:
                    continue
                fees += amount
                lines.append(Line(LineKind.FEE, "", code, "", amount))
                steps.append(PriceStep(code, "fee", "", "", amount))
                continue
            code, factor, numerator, denominator, coverages, first, last = charge
            if not first <= starts_on <= last:
                continue
            subject = net
            if coverages:
                amounts = [line.amount for line in lines[:count] if line.coverage_code in coverages]
                if not amounts:
                    continue
                subject = sum(amounts)
            amount = half_even(subject * numerator, denominator)
            tax += amount
            lines.append(Line(LineKind.TAX, "", code, "", amount))
            steps.append(PriceStep(code, "tax", "", factor, amount))
        return tax, fees

    return add


def _of_steps(product: Product) -> list[_Tax | _Fee]:
    """Taxes and fees of a product whose file has them among its steps."""
    charges: list[_Tax | _Fee] = []
    for step in product.rating:
        if step.kind == "tax" and step.rate is not None:
            denominator = 10 ** places_in(step.rate)
            numerator = scaled(step.rate, denominator)
            charges.append(_Tax(step.name, str(step.rate), numerator, denominator, frozenset(), date.min, date.max))
        elif step.kind == "fee":
            charges.append(_Fee(step.name, scaled(step.amount, 10 ** exponent(product.currency)), frozenset()))
    return charges


def _taxes(product: Product) -> list[_Tax]:
    """The taxes in their order: of a code with several rates, each until the day before the next one begins."""
    taxes = []
    for tax in product.taxes:
        denominator = 10 ** places_in(tax.rate)
        first = tax.valid_from or date.min
        later = [other.valid_from for other in product.taxes if other.code == tax.code and other.valid_from]
        following = min((day for day in later if day > first), default=None)
        last = date.fromordinal(following.toordinal() - 1) if following else date.max
        numerator = scaled(tax.rate, denominator)
        taxes.append(_Tax(tax.code, str(tax.rate), numerator, denominator, frozenset(tax.coverages), first, last))
    return taxes


def _fees(product: Product) -> list[_Fee]:
    """The fees of a price: billing charges those of installments and returned debits itself."""
    whole_units = 10 ** exponent(product.currency)
    return [
        _Fee(fee.code, scaled(fee.amount, whole_units), frozenset(fee.when))
        for fee in product.fees
        if not {"installment", "returned_debit"} & set(fee.when)
    ]
