"""Loadings: what an underwriter adds to a rated price, exact, with a step for each of them.

The premium of each coverage and object is multiplied one loading after the other, with nothing rounded between. The
net is rounded once, half to even, and allotted to the lines by their exact shares; taxes are worked out anew on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from libs.money import split
from libs.premium import LineKind
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.rating.rules.charges import AddCharges
from services.quotes.rating.rules.price import Price, PriceStep, half_even

STEP = "uw_loading"
"""The name of the step of a loading in the breakdown of a price."""


class Loading(NamedTuple):
    """A part of the premium that is added to it: of one coverage, or of all where none is named."""

    coverage_code: str
    rate: Decimal


def load(
    price: Price, loadings: Sequence[Loading], add_charges: AddCharges, starts_on: date, occasion: FeeOccasion
) -> Price:
    """A rated price with loadings, and with the taxes and fees of the net that comes of them."""
    if not loadings:
        return price
    premium = [line for line in price.lines if line.kind is LineKind.PREMIUM]
    steps = [step for step in price.steps if step.kind not in ("tax", "fee")]
    exact = [Fraction(line.amount) for line in premium]
    net = price.net
    for code, rate in loadings:
        factor = 1 + Fraction(rate)
        exact = [
            value * factor if code in ("", line.coverage_code) else value
            for value, line in zip(exact, premium, strict=True)
        ]
        total = sum(exact, Fraction())
        rounded = half_even(total.numerator, total.denominator)
        steps.append(PriceStep(STEP, "loading", code, str(rate), rounded - net))
        net = rounded
    common = lcm(*(value.denominator for value in exact))
    weights = [int(value * common) for value in exact]
    amounts = split(net, weights) if any(weights) else [0] * len(weights)
    lines = [line._replace(amount=amount) for line, amount in zip(premium, amounts, strict=True)]
    tax, fees = add_charges(net, starts_on, occasion, steps, lines)
    return Price(price.currency, net, tax, fees, tuple(steps), tuple(lines))
