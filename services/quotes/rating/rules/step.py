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
from services.quotes.catalogue.rules.product import DEDUCTIBLE, LIMIT, Product, Step, StepKind
from services.quotes.catalogue.rules.table import by_band
from services.quotes.catalogue.rules.variables import Variable
from services.quotes.rating.rules.condition import Values, compile_condition

Variables = Mapping[str, Variable]


class Cell(NamedTuple):
    """Multiplies by `numerator` over the denominator of its step; `factor` is what the breakdown shows."""

    numerator: int
    factor: str


Start = Callable[[Values, Coverage], tuple[int, str]]
"""The scaled value with which a coverage starts, and the factor in it."""
Pick = Callable[[Values, Coverage], Cell | None]
"""The cell for a risk; None where the step does not apply. Of a step on the whole premium, no coverage is looked at."""

WHOLE = Coverage("")


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


def compile_base(product: Product, variables: Variables, step: Step, scale: int) -> Base:
    """A coverage begins with an amount, with an amount for each of something, or with a rate on a sum."""
    code = step.coverages[0]
    whole_units = 10 ** exponent(product.currency)
    if step.amount is not None:
        return Base(step.name, code, _amount(step, scaled(step.amount, whole_units * scale)))
    shown = str(step.rate)
    if step.of == LIMIT:
        per_minor = scaled(step.rate, scale)
        return Base(
            step.name, code, lambda values, own: (per_minor * (limit.minor if (limit := own.limit) else 0), shown)
        )
    of = step.of
    per_unit = scaled(step.rate, scale * whole_units, 10 ** variables[of].places)
    return Base(step.name, code, lambda values, own: (per_unit * int(values[of]), shown))


def compile_scaling(product: Product, variables: Variables, step: Step, coverage: str) -> Scaling:
    """A factor, discount or loading, for one coverage or for the whole premium."""
    denominator = 10 ** places_of(step)
    return Scaling(step.name, step.kind, coverage, denominator, _pick(product, variables, step, denominator))


def places_of(step: Step) -> int:
    """The most decimal places of any number that the step multiplies with."""
    fixed = step.rate if step.rate is not None else step.amount
    return max(places_in(value) for value in ([fixed] if fixed is not None else step.table.values()))


def places_in(value: Decimal) -> int:
    """Decimal places of a number."""
    places = value.as_tuple().exponent
    return max(0, -places) if isinstance(places, int) else 0


def scaled(value: Decimal | None, scale: int, divisor: int = 1) -> int:
    """The value times a scale that holds all its places, over a divisor. Nothing is nothing."""
    numerator, denominator = value.as_integer_ratio() if value is not None else (0, 1)
    whole, rest = divmod(numerator * scale, denominator * divisor)
    if rest:
        raise ValueError(f"{value} has more decimal places than a scale of {scale} holds")
    return whole


def _amount(step: Step, unit: int) -> Start:
    per = step.per
    if not per:
        return lambda values, own: (unit, "")

    def for_each(values: Values, own: Coverage) -> tuple[int, str]:
        count = sum(int(values[variable]) for variable in per)
        return unit * count, str(count)

    return for_each


def _pick(product: Product, variables: Variables, step: Step, denominator: int) -> Pick:
    """How the cell of a step is found."""
    if step.rate is not None:
        look_up = _always(_cell(step, step.rate, denominator))
    elif step.by in (LIMIT, DEDUCTIBLE):
        look_up = _by_amount(step, denominator, exponent(product.currency))
    else:
        look_up = _by_variable(variables[step.by], step, denominator)
    if not step.when:
        return look_up
    holds = compile_condition(variables, step.when)
    return lambda values, own: look_up(values, own) if holds(values) else None


def _always(cell: Cell) -> Pick:
    return lambda values, own: cell


def _by_variable(variable: Variable, step: Step, denominator: int) -> Pick:
    by = step.by
    cells = {row: _cell(step, value, denominator) for row, value in step.table.items()}
    if variable.is_number:
        in_band = by_band(cells, variable.places)
        return lambda values, own: in_band(values[by])  # type: ignore[arg-type]
    if variable.type == "boolean":
        yes, no = cells["true"], cells["false"]
        return lambda values, own: yes if values[by] else no
    return lambda values, own: cells[values[by]]  # type: ignore[index]


def _by_amount(step: Step, denominator: int, places: int) -> Pick:
    cells = {int(Decimal(row).scaleb(places)): _cell(step, value, denominator) for row, value in step.table.items()}
    if step.by == LIMIT:
        return lambda values, own: cells[limit.minor] if (limit := own.limit) else None
    return lambda values, own: cells[deductible.minor] if (deductible := own.deductible) else None


def _cell(step: Step, value: Decimal, denominator: int) -> Cell:
    """A factor multiplies by itself, a discount by 1 - rate, a loading by 1 + rate."""
    numerator = scaled(value, denominator)
    if step.kind == "discount":
        numerator = denominator - numerator
    elif step.kind == "loading":
        numerator = denominator + numerator
    return Cell(numerator, str(value))
