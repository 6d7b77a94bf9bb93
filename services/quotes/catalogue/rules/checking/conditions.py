"""Checking conditions: whether everything they look at is there, and can be what they compare it with."""

from __future__ import annotations

from services.quotes.catalogue.rules.checking.problems import Problems
from services.quotes.catalogue.rules.product import Answer, Comparison, Condition, Product, Reference
from services.quotes.catalogue.rules.variables import Variable, codes_in, variables_of

_UNKNOWN = "is not a question of the product, a field of its objects or a derived value"


def problems_of(product: Product, condition: Condition, key: str, kind: str | None = None) -> Problems:
    """What is wrong with a condition. One on a coverage looks at the risk, or at the object of its `kind`.

    Without a kind it holds if it holds of any object: so it looks at one kind at most.
    """
    variables = variables_of(product)
    kinds = {variables[code].kind for code in codes_in(condition) if code in variables} - {""}
    if kind is not None and kinds - {kind}:
        yield key, f"looks at each {min(kinds - {kind})}, where there can be several: derive a value of them all"
    elif kind is None and len(kinds) > 1:
        yield key, f"looks at objects of several kinds: {', '.join(sorted(kinds))}"
    for code, comparison in condition.items():
        variable = variables.get(code)
        if variable is None:
            yield f"{key}.{code}", _UNKNOWN
        else:
            yield from ((f"{key}.{code}", text) for text in _comparison(variable, comparison, variables))


def _comparison(variable: Variable, comparison: Comparison, variables: dict[str, Variable]) -> list[str]:
    compared = [*([] if comparison.equals is None else [comparison.equals]), *comparison.one_of]
    bounds = comparison.bounds.values()
    wrong = []
    if not compared and not bounds:
        wrong.append("compares with nothing")
    if comparison.equals is not None and comparison.one_of:
        wrong.append("takes either equals or one_of")
    if bounds and not variable.is_ordered:
        wrong.append("has an order for numbers and dates only")
    for bound in bounds:
        if isinstance(bound, Reference):
            other = variables.get(bound.question)
            if other is None:
                wrong.append(f"{bound.question!r} {_UNKNOWN}")
            elif (other.type, other.places) != (variable.type, variable.places):
                wrong.append(f"{bound.question!r} has another type")
        else:
            compared.append(bound)  # type: ignore[arg-type]
    for value in compared:
        if not _can_come(variable, value):
            shown = repr(value) if isinstance(value, str) else value
            wrong.append(f"{shown} is not an answer to the question")
    return wrong


def _can_come(variable: Variable, answer: Answer) -> bool:
    if variable.type == "boolean":
        return isinstance(answer, bool)
    if variable.type == "choice":
        return answer in variable.choices
    if variable.type == "text":
        return isinstance(answer, str)
    if isinstance(answer, bool):
        return False
    try:
        value = variable.value(answer)
    except (ValueError, ArithmeticError):
        return False
    return type(value) is int and variable.minimum <= value <= variable.maximum
