"""The steps of a price that depend on a risk, compiled: how a coverage starts, and by what a premium is multiplied.

Values are whole numbers at a scale that holds every decimal place a step can bring, so that nothing is rounded
between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from libs.money import exponent
from libs.premium import Coverage
from services.quotes.catalogue.rules.product import DEDUCTIBLE, LIMIT, Answers, Product, Step, StepKind
from services.quotes.catalogue.rules.table import by_band
from services.quotes.rating.rules.condition import compile_condition

Chosen = Mapping[str, Coverage]


class Cell(NamedTuple):
    """Multiplies by `numerator` over the denominator of its step; `factor` is what the breakdown shows."""

    numerator: int
    factor: str


Start = Callable[[Answers, Chosen], tuple[int, str]]
"""The scaled value with which a coverage starts, and the factor in it."""
Pick = Callable[[Answers, Chosen], Cell | None]
"""The cell for a risk; None where the step does not apply."""


class Base(NamedTuple):
    """Starts a coverage."""

    name: str
    coverage: str
    start: Start


class Scaling(NamedTuple):
    """Multiplies a coverage, or the whole premium where `coverage` is empty."""

    name: str
    kind: StepKind
    coverage: str
    denominator: int
    pick: Pick


def compile_base(product: Product, step: Step, scale: int) -> Base:
    """A coverage begins with an amount, with an amount for each of something, or with a rate on a sum."""
    code = step.coverages[0]
    whole_units = 10 ** exponent(product.currency)
    if step.amount is not None:
        return Base(step.name, code, _amount(step, scaled(step.amount, whole_units * scale)))
    shown = str(step.rate)
    if step.of == LIMIT:
        per_minor = scaled(step.rate, scale)

        def of_limit(answers: Answers, chosen: Chosen) -> tuple[int, str]:
            limit = chosen[code].limit
            return per_minor * (limit.minor if limit else 0), shown

        return Base(step.name, code, of_limit)
    of, per_unit = step.of, scaled(step.rate, whole_units * scale)
    return Base(step.name, code, lambda answers, chosen: (per_unit * int(answers[of]), shown))


def compile_scaling(product: Product, step: Step, coverage: str) -> Scaling:
    """A factor, discount or loading, for one coverage or for the whole premium."""
    denominator = 10 ** places_of(step)
    return Scaling(step.name, step.kind, coverage, denominator, _pick(product, step, coverage, denominator))


def places_of(step: Step) -> int:
    """The most decimal places of any number that the step multiplies with."""
    fixed = step.rate if step.rate is not None else step.amount
    return max(places_in(value) for value in ([fixed] if fixed is not None else step.table.values()))


def places_in(value: Decimal) -> int:
    """Decimal places of a number."""
    places = value.as_tuple().exponent
    return max(0, -places) if isinstance(places, int) else 0


def scaled(value: Decimal | None, scale: int) -> int:
    """The value times a scale that holds all its places. Nothing is nothing."""
    numerator, denominator = value.as_integer_ratio() if value is not None else (0, 1)
    whole, rest = divmod(numerator * scale, denominator)
    if rest:
        raise ValueError(f"{value} has more decimal places than a scale of {scale} holds")
    return whole


def _amount(step: Step, unit: int) -> Start:
    per = step.per
    if not per:
        return lambda answers, chosen: (unit, "")

    def for_each(answers: Answers, chosen: Chosen) -> tuple[int, str]:
        count = sum(int(answers[question]) for question in per)
        return unit * count, str(count)

    return for_each


def _pick(product: Product, step: Step, coverage: str, denominator: int) -> Pick:
    """How the cell of a step is found."""
    if step.rate is not None:
        look_up = _always(_cell(step, step.rate, denominator))
    elif step.by in (LIMIT, DEDUCTIBLE):
        look_up = _by_amount(step, coverage, denominator, exponent(product.currency))
    else:
        look_up = _by_answer(product, step, denominator)
    if not step.when:
        return look_up
    holds = compile_condition(step.when)
    return lambda answers, chosen: look_up(answers, chosen) if holds(answers) else None


def _always(cell: Cell) -> Pick:
    return lambda answers, chosen: cell


def _by_answer(product: Product, step: Step, denominator: int) -> Pick:
    by = step.by
    cells = {row: _cell(step, value, denominator) for row, value in step.table.items()}
    question = next(question for question in product.questions if question.code == by)
    if question.type == "integer":
        in_band = by_band(cells)
        return lambda answers, chosen: in_band(int(answers[by]))
    if question.type == "boolean":
        yes, no = cells["true"], cells["false"]
        return lambda answers, chosen: yes if answers[by] else no
    return lambda answers, chosen: cells[str(answers[by])]


def _by_amount(step: Step, coverage: str, denominator: int, places: int) -> Pick:
    cells = {int(Decimal(row).scaleb(places)): _cell(step, value, denominator) for row, value in step.table.items()}
    if step.by == LIMIT:
        return lambda answers, chosen: cells[limit.minor] if (limit := chosen[coverage].limit) else None
    return lambda answers, chosen: cells[own.minor] if (own := chosen[coverage].deductible) else None


def _cell(step: Step, value: Decimal, denominator: int) -> Cell:
    """A factor multiplies by itself, a discount by 1 - rate, a loading by 1 + rate."""
    numerator = scaled(value, denominator)
    if step.kind == "discount":
        numerator = denominator - numerator
    elif step.kind == "loading":
        numerator = denominator + numerator
    return Cell(numerator, str(value))
