"""Rating: the price of a risk, exact, with every step explained.

The steps of a product are compiled once into a function, because it runs for every price that anybody looks at.
Nothing is rounded on the way: an amount in the breakdown is the difference between two running values, each rounded
half to even. That is why the amounts add up to the total to the cent. Tax is on the rounded premium net of fees,
each tax rounded on its own.

A coverage of objects is priced for each of them. The one rounded net is allotted to coverages and objects by their
unrounded shares, with the steps on the whole premium and the minimum in it, so that the lines of a price add up to it
and no price depends on how many lines it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from libs.money import exponent, split
from libs.premium import Coverage, LineKind
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.catalogue.rules.variables import Variable, variables_of
from services.quotes.rating.rules.charges import compile_charges
from services.quotes.rating.rules.condition import Values
from services.quotes.rating.rules.facts import Facts
from services.quotes.rating.rules.price import Line, Price, PriceStep
from services.quotes.rating.rules.step import WHOLE, compile_base, compile_scaling, places_of, scaled

Rate = Callable[[Facts, Sequence[Coverage], date, FeeOccasion], Price]
"""From the facts of a risk, the chosen coverages, the first day of the term and what the term is to its price."""


class _Part:
    """One coverage of one object, or of the risk as a whole, while it is priced. `value` is exact, at the scale."""

    __slots__ = ("coverage", "object_id", "value", "values")

    def __init__(self, coverage: Coverage, object_id: str, values: Values) -> None:
        self.coverage = coverage
        self.object_id = object_id
        self.values = values
        self.value = 0


def compile_rating(product: Product) -> Rate:
    """A function from facts and chosen coverages to the price by the product's steps.

    A step that does not apply to a risk is left out of its breakdown.
    """
    variables = variables_of(product)
    scale = 10 ** (_places_of_any_value(product, variables) + 1)
    half = scale // 2
    on_coverages = _compile_coverage_steps(product, variables, scale)
    scalings = [
        compile_scaling(product, variables, step, "")
        for step in product.rating
        if step.kind in ("factor", "discount", "loading") and not step.coverages
    ]
    on_whole = [(step.name, step.kind, step.pick, step.denominator) for step in scalings]
    nothing: list[_Part] = []
    new = tuple.__new__  # half the time of a named tuple's own constructor
    minimum_name, minimum = _minimum(product)
    covers = {offer.code: offer.covers for offer in product.coverages}
    mandatory = frozenset(offer.code for offer in product.coverages if offer.mandatory)
    add_charges = compile_charges(product)
    currency = product.currency

    def rate(facts: Facts, coverages: Sequence[Coverage], starts_on: date, occasion: FeeOccasion) -> Price:
        whole = facts.whole
        parts: list[_Part] = []
        parts_of: dict[str, list[_Part]] = {}
        for coverage in coverages:
            code = coverage.code
            kind_of_object = covers[code]
            if kind_of_object:
                own = [_Part(coverage, object_id, values) for object_id, values in facts.each[kind_of_object]]
            else:
                own = [_Part(coverage, "", whole)]
            parts_of[code] = own
            parts += own
        steps: list[PriceStep] = []
        exact = net = 0  # the running value: times `scale`, and rounded
        for name, kind, code, start, pick, denominator in on_coverages:
            for part in parts_of.get(code, nothing):
                if pick is None:
                    part.value, factor = start(part.values, part.coverage)
                    exact += part.value
                else:
                    cell = pick(part.values, part.coverage)
                    if cell is None:
                        continue
                    numerator, factor = cell
                    before = part.value
                    part.value = value = before * numerator // denominator
                    exact += value - before
                rounded, rest = divmod(exact + half, scale)
                if not rest and rounded & 1:
                    rounded -= 1
                steps.append(new(PriceStep, (name, kind, code, factor, rounded - net, part.object_id)))
                net = rounded
        for name, kind, pick, denominator in on_whole:
            cell = pick(whole, WHOLE)
            if cell is None:
                continue
            numerator, factor = cell
            exact = exact * numerator // denominator
            rounded, rest = divmod(exact + half, scale)
            if not rest and rounded & 1:
                rounded -= 1
            steps.append(new(PriceStep, (name, kind, "", factor, rounded - net, "")))
            net = rounded
        if net < minimum:
            steps.append(PriceStep(minimum_name, "minimum", "", "", minimum - net))
            net = minimum
        lines = _allot(net, parts, mandatory)
        tax, fees = add_charges(net, starts_on, occasion, steps, lines)
        return Price(currency, net, tax, fees, tuple(steps), tuple(lines))

    return rate


def _allot(net: int, parts: Sequence[_Part], mandatory: frozenset[str]) -> list[Line]:
    """A line for each coverage and object: shares of the rounded net by the unrounded values, in their order.

    Where they are all zero, the first mandatory coverage has the net: it is the minimum then.
    """
    weights = [part.value for part in parts]
    if not any(weights):
        bearer = next((i for i, part in enumerate(parts) if part.coverage.code in mandatory), 0)
        weights[bearer] = 1
    amounts = split(net, weights)
    return [
        Line(LineKind.PREMIUM, part.coverage.code, "", part.object_id, amount)
        for part, amount in zip(parts, amounts, strict=True)
    ]


def _compile_coverage_steps(product: Product, variables: Mapping[str, Variable], scale: int) -> list[Any]:
    """The steps on coverages, in their order; one for each coverage where a step names several.

    Tuples of name, kind, coverage, how it starts or what it multiplies by, and the denominator of that.
    """
    steps: list[Any] = []
    for step in product.rating:
        if step.kind == "base":
            base = compile_base(product, variables, step, scale)
            steps.append((base.name, "base", base.coverage, base.start, None, 1))
        else:
            for coverage in step.coverages:
                scaling = compile_scaling(product, variables, step, coverage)
                steps.append((scaling.name, scaling.kind, coverage, None, scaling.pick, scaling.denominator))
    return steps


def _minimum(product: Product) -> tuple[str, int]:
    """Name and amount of the minimum premium; nothing where there is none."""
    whole_units = 10 ** exponent(product.currency)
    minimums = [(step.name, scaled(step.amount, whole_units)) for step in product.rating if step.kind == "minimum"]
    return minimums[0] if minimums else ("", 0)


def _places_of_any_value(product: Product, variables: Mapping[str, Variable]) -> int:
    """Decimal places that no running value of the product exceeds: those of all its steps, one after another."""
    on_whole = 0
    on_coverage: dict[str, int] = {}
    for step in product.rating:
        if step.kind in ("minimum", "tax", "fee"):
            continue
        places = places_of(step)
        if step.of in variables and variables[step.of].type == "decimal":
            places += variables[step.of].places
        if not step.coverages:
            on_whole += places
        for code in step.coverages:
            on_coverage[code] = on_coverage.get(code, 0) + places
    return on_whole + max(on_coverage.values())
