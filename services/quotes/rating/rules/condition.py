"""Conditions on answers, as rating steps, underwriting rules and checks have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.quotes.catalogue.rules.product import Answer, Bound, Comparison, Condition, Reference
from services.quotes.catalogue.rules.variables import Variable

Values = Mapping[str, Answer]
"""Variables by their codes: `driver_age`, `vehicle.value`. Whatever has an order is a whole number."""
Holds = Callable[[Values], bool]
_Test = Callable[[Values], bool]


def compile_condition(variables: Mapping[str, Variable], condition: Condition) -> Holds:
    """A function that says whether every comparison holds; made once, because it runs for every price."""
    return _all([_test(variables, code, comparison) for code, comparison in condition.items()])


def _test(variables: Mapping[str, Variable], code: str, comparison: Comparison) -> _Test:
    """The test of one variable: a short one where there is one comparison, as there nearly always is."""
    variable = variables[code]
    accepted = [comparison.equals] if comparison.equals is not None else list(comparison.one_of)
    tests: list[_Test] = []
    if accepted:
        tests.append(_is_one_of(code, frozenset(variable.value(answer) for answer in accepted)))
    tests += [_ORDERS[name](code, *_limit(variable, bound)) for name, bound in comparison.bounds.items()]
    return _all(tests)


def _all(tests: list[_Test]) -> _Test:
    """Whether all tests hold; of one or two, as nearly all conditions have, without a loop."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda values: first(values) and second(values)
    return lambda values: all(test(values) for test in tests)


def _is_one_of(code: str, accepted: frozenset[Answer]) -> _Test:
    return lambda values: values[code] in accepted


def _limit(variable: Variable, bound: Bound) -> tuple[str, int]:
    """What a bound refers to, if anything, and the number to add to it."""
    if isinstance(bound, Reference):
        return bound.question, (bound.plus - bound.minus) * 10**variable.places
    return "", int(variable.value(bound))


def _at_least(code: str, other: str, number: int) -> _Test:
    if other:
        return lambda values: int(values[code]) >= int(values[other]) + number
    return lambda values: values[code] >= number  # type: ignore[operator]


def _at_most(code: str, other: str, number: int) -> _Test:
    if other:
        return lambda values: int(values[code]) <= int(values[other]) + number
    return lambda values: values[code] <= number  # type: ignore[operator]


_ORDERS: dict[str, Callable[[str, str, int], _Test]] = {
    "at_least": _at_least,
    "at_most": _at_most,
    "more_than": lambda code, other, number: _at_least(code, other, number + 1),
    "less_than": lambda code, other, number: _at_most(code, other, number - 1),
}
