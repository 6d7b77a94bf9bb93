"""Rating: the price of a risk, exact, with every step explained.

The steps of a product are compiled once into a function, because it runs for every price that anybody looks at.
Nothing is rounded on the way: an amount in the breakdown is the difference between two running values, each rounded
half to even. That is why the amounts add up to the total to the cent. Tax is on the rounded premium net of fees,
each tax rounded on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from libs.money import exponent
from libs.premium import Coverage, Premium
from services.quotes.catalogue.rules.product import Answers, Product, StepKind
from services.quotes.rating.rules.step import Base, Scaling, compile_base, compile_scaling, places_in, places_of, scaled


class PriceStep(NamedTuple):
    """One line of a breakdown. `amount` is in minor units of the price's currency."""

    name: str
    kind: StepKind
    coverage_code: str
    factor: str
    amount: int


class Price(NamedTuple):
    """What cover costs for one term, in minor units, and how that came about."""

    currency: str
    net: int
    tax: int
    fees: int
    steps: tuple[PriceStep, ...]

    @property
    def total(self) -> int:
        """What the policyholder pays."""
        return self.net + self.tax + self.fees

    @property
    def premium(self) -> Premium:
        """The price without how it came about."""
        return Premium.of_minor(self.net, self.tax, self.fees, self.currency)


Rate = Callable[[Answers, Sequence[Coverage]], Price]


class _Charge(NamedTuple):
    """A fixed fee in minor units, or for a tax the numerator of its rate."""

    name: str
    kind: StepKind
    factor: str
    numerator: int
    denominator: int


def compile_rating(product: Product) -> Rate:
    """A function from checked answers and chosen coverages to the price by the product's steps.

    A step that does not apply to a risk is no line of its breakdown.
    """
    scale = 10 ** _places_of_any_value(product)
    on_coverages = _compile_coverage_steps(product, scale)
    on_whole = [
        compile_scaling(product, step, "")
        for step in product.rating
        if step.kind in ("factor", "discount", "loading") and not step.coverages
    ]
    minimum_name, minimum = _minimum(product)
    charges = _charges(product)
    currency = product.currency

    def rate(answers: Answers, coverages: Sequence[Coverage]) -> Price:
        chosen = {coverage.code: coverage for coverage in coverages}
        values: dict[str, int] = {}
        lines: list[PriceStep] = []
        exact = net = 0  # the running value: times `scale`, and rounded
        for step in on_coverages:
            code = step.coverage
            if code not in chosen:
                continue
            kind: StepKind = "base"
            before = 0
            if isinstance(step, Base):
                value, factor = step.start(answers, chosen)
            else:
                cell = step.pick(answers, chosen)
                if cell is None:
                    continue
                kind, factor, before = step.kind, cell.factor, values[code]
                value = before * cell.numerator // step.denominator
            values[code] = value
            exact += value - before
            rounded = half_even(exact, scale)
            lines.append(PriceStep(step.name, kind, code, factor, rounded - net))
            net = rounded
        for name, kind, _, denominator, pick in on_whole:
            cell = pick(answers, chosen)
            if cell is None:
                continue
            exact = exact * cell.numerator // denominator
            rounded = half_even(exact, scale)
            lines.append(PriceStep(name, kind, "", cell.factor, rounded - net))
            net = rounded
        if net < minimum:
            lines.append(PriceStep(minimum_name, "minimum", "", "", minimum - net))
            net = minimum
        tax = fees = 0
        for name, kind, factor, numerator, denominator in charges:
            amount = numerator
            if kind == "tax":
                amount = half_even(net * numerator, denominator)
                tax += amount
            else:
                fees += amount
            lines.append(PriceStep(name, kind, "", factor, amount))
        return Price(currency, net, tax, fees, tuple(lines))

    return rate


def half_even(numerator: int, denominator: int) -> int:
    """The nearest whole number to a quotient of non-negative numbers; a tie goes to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest << 1
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def _compile_coverage_steps(product: Product, scale: int) -> list[Base | Scaling]:
    """The steps on coverages, in their order; one for each coverage where a step names several."""
    steps: list[Base | Scaling] = []
    for step in product.rating:
        if step.kind == "base":
            steps.append(compile_base(product, step, scale))
        else:
            steps += [compile_scaling(product, step, coverage) for coverage in step.coverages]
    return steps


def _minimum(product: Product) -> tuple[str, int]:
    """Name and amount of the minimum premium; nothing where there is none."""
    whole_units = 10 ** exponent(product.currency)
    minimums = [(step.name, scaled(step.amount, whole_units)) for step in product.rating if step.kind == "minimum"]
    return minimums[0] if minimums else ("", 0)


def _charges(product: Product) -> list[_Charge]:
    """Taxes and fees, in their order."""
    whole_units = 10 ** exponent(product.currency)
    charges = []
    for step in product.rating:
        if step.kind == "tax" and step.rate is not None:
            denominator = 10 ** places_in(step.rate)
            rate = scaled(step.rate, denominator)
            charges.append(_Charge(step.name, step.kind, str(step.rate), rate, denominator))
        elif step.kind == "fee":
            charges.append(_Charge(step.name, step.kind, "", scaled(step.amount, whole_units), 1))
    return charges


def _places_of_any_value(product: Product) -> int:
    """Decimal places that no running value of the product exceeds: those of all its steps, one after another."""
    on_whole = 0
    on_coverage: dict[str, int] = {}
    for step in product.rating:
        if step.kind in ("minimum", "tax", "fee"):
            continue
        if not step.coverages:
            on_whole += places_of(step)
        for code in step.coverages:
            on_coverage[code] = on_coverage.get(code, 0) + places_of(step)
    return on_whole + max(on_coverage.values())
