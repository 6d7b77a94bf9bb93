"""Rating: the price of a risk, exact, with every step explained.

The steps of a product are compiled once into a function, because it runs for every price that anybody looks at.
Nothing is rounded on the way: an amount in the breakdown is the difference between two running values, each rounded
half to even. That is why the amounts add up to the total to the cent. Tax is on the rounded premium net of fees,
each tax rounded on its own.

The one rounded net is allotted to the coverages by their unrounded shares, with the steps on the whole premium and the
minimum in it, so that the lines of a price add up to it and no price depends on how many lines it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from libs.money import Money, exponent, split
from libs.premium import ChargeLine, Coverage, LineKind, Premium
from services.quotes.catalogue.rules.product import Answers, Product, StepKind
from services.quotes.rating.rules.step import Base, Scaling, compile_base, compile_scaling, places_in, places_of, scaled


class PriceStep(NamedTuple):
    """One step of a breakdown. `amount` is in minor units of the price's currency."""

    name: str
    kind: StepKind
    coverage_code: str
    factor: str
    amount: int


class Line(NamedTuple):
    """What one coverage of one object costs for the whole term, or a tax or a fee. `amount` is in minor units."""

    kind: LineKind
    coverage_code: str
    charge_code: str
    object_id: str
    amount: int


class Price(NamedTuple):
    """What cover costs for one term, in minor units, and how that came about."""

    currency: str
    net: int
    tax: int
    fees: int
    steps: tuple[PriceStep, ...]
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        """What the policyholder pays."""
        return self.net + self.tax + self.fees

    @property
    def premium(self) -> Premium:
        """The price without how it came about."""
        return Premium.of_minor(self.net, self.tax, self.fees, self.currency)

    def charges(self, starts_on: date, ends_on: date) -> tuple[ChargeLine, ...]:
        """The lines for a term. Premium is earned over its days, taxes and fees at once; commission is on premium."""
        return tuple(
            ChargeLine(
                kind=line.kind,
                amount=Money(line.amount, self.currency),
                starts_on=starts_on,
                ends_on=ends_on if line.kind is LineKind.PREMIUM else starts_on,
                coverage_code=line.coverage_code,
                charge_code=line.charge_code,
                object_id=line.object_id,
                commissionable=line.kind is LineKind.PREMIUM,
            )
            for line in self.lines
        )


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

    A step that does not apply to a risk is left out of its breakdown.
    """
    scale = 10 ** _places_of_any_value(product)
    on_coverages = _compile_coverage_steps(product, scale)
    on_whole = [
        compile_scaling(product, step, "")
        for step in product.rating
        if step.kind in ("factor", "discount", "loading") and not step.coverages
    ]
    minimum_name, minimum = _minimum(product)
    mandatory = frozenset(offer.code for offer in product.coverages if offer.mandatory)
    charges = _charges(product)
    currency = product.currency

    def rate(answers: Answers, coverages: Sequence[Coverage]) -> Price:
        chosen = {coverage.code: coverage for coverage in coverages}
        values: dict[str, int] = {}
        steps: list[PriceStep] = []
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
            steps.append(PriceStep(step.name, kind, code, factor, rounded - net))
            net = rounded
        for name, kind, _, denominator, pick in on_whole:
            cell = pick(answers, chosen)
            if cell is None:
                continue
            exact = exact * cell.numerator // denominator
            rounded = half_even(exact, scale)
            steps.append(PriceStep(name, kind, "", cell.factor, rounded - net))
            net = rounded
        if net < minimum:
            steps.append(PriceStep(minimum_name, "minimum", "", "", minimum - net))
            net = minimum
        lines = _allot(net, values, coverages, mandatory)
        tax = fees = 0
        for name, kind, factor, numerator, denominator in charges:
            amount = numerator
            if kind == "tax":
                amount = half_even(net * numerator, denominator)
                tax += amount
                lines.append(Line(LineKind.TAX, "", name, "", amount))
            else:
                fees += amount
                lines.append(Line(LineKind.FEE, "", name, "", amount))
            steps.append(PriceStep(name, kind, "", factor, amount))
        return Price(currency, net, tax, fees, tuple(steps), tuple(lines))

    return rate


def _allot(net: int, values: Mapping[str, int], coverages: Sequence[Coverage], mandatory: frozenset[str]) -> list[Line]:
    """A line for each coverage: shares of the rounded net by the unrounded values, in the order of the coverages.

    Where they are all zero, the first mandatory coverage has the net: it is the minimum then.
    """
    weights = [values[coverage.code] for coverage in coverages]
    if not any(weights):
        bearer = next((i for i, coverage in enumerate(coverages) if coverage.code in mandatory), 0)
        weights[bearer] = 1
    amounts = split(net, weights)
    return [
        Line(LineKind.PREMIUM, coverage.code, "", "", amount)
        for coverage, amount in zip(coverages, amounts, strict=True)
    ]


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
