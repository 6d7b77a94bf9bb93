"""Facts: what a price and a decision go by, worked out of checked answers and objects.

They hold the variables of a product: answers, fields of objects, and what is derived of them at a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from libs.premium import InsuredObject
from services.quotes.catalogue.rules.product import Answer, Answers, Condition, Derived, Product
from services.quotes.catalogue.rules.variables import Variable, codes_in, codes_used, variables_of
from services.quotes.rating.rules.answers import AnswerInvalid
from services.quotes.rating.rules.condition import Values, compile_condition
from services.quotes.rating.rules.objects import ObjectInvalid


class Facts(NamedTuple):
    """The variables of a risk, and of each of its objects."""

    whole: Values
    each: Mapping[str, Sequence[tuple[str, Values]]]
    """By the kind of object: the name of each, with its variables and those of the risk."""


MakeFacts = Callable[[Answers, Sequence[InsuredObject], date, Mapping[str, date]], Facts]
"""From checked answers and objects, the first day of the term, and by its name the day on which an object was added
to a term that had begun: years are counted at those days."""

_Convert = Callable[[Answer], Answer]


class _Age(NamedTuple):
    """Full years since the date in a field of an object, or in an answer."""

    code: str
    field: str
    minimum: int
    maximum: int


class _Kind(NamedTuple):
    """What is worked out of each object of a kind."""

    code: str
    is_single: bool
    fields: Sequence[tuple[str, str, _Convert]]
    ages: Sequence[_Age]


def compile_facts(product: Product) -> MakeFacts:
    """A function that works out the facts of a risk; `AnswerInvalid` or `ObjectInvalid` for a year out of range."""
    variables, used = variables_of(product), codes_used(product)
    converted = [(q.code, variables[q.code].value) for q in product.questions if _is_converted(variables, used, q.code)]
    ages = [_Age(d.code, d.years_since, d.minimum, d.maximum) for d in product.derive if _is_of_question(product, d)]
    kinds = {kind.code: _kind(product, kind.code, variables, used) for kind in product.objects}
    taken = [
        (derived.code, derived.years_since.partition(".")[0], min if derived.take == "lowest" else max)
        for derived in product.derive
        if derived.take
    ]
    counted = [(derived, compile_condition(variables, derived.when)) for derived in product.derive if derived.count]
    seen = [code for code in kinds if _is_seen(product, code, variables, used)]
    if not (converted or ages or kinds):
        return lambda answers, objects, day, added: Facts(answers, {})

    def make(answers: Answers, objects: Sequence[InsuredObject], day: date, added: Mapping[str, date]) -> Facts:
        whole = dict(answers)
        for code, convert in converted:
            whole[code] = convert(answers[code])
        for code, field, minimum, maximum in ages:
            years = years_between(date.fromisoformat(str(answers[field])), day)
            if not minimum <= years <= maximum:
                raise AnswerInvalid(f"{field} {_out_of_range(code, years, minimum, maximum)}", question=field)
            whole[code] = years
        own: dict[str, list[tuple[str, dict[str, Answer]]]] = {code: [] for code in kinds}
        for insured in objects:
            kind = kinds[insured.code]
            values = _of_object(insured, kind, added.get(insured.id, day))
            own[insured.code].append((insured.id, values))
            if kind.is_single:
                whole |= values
        for code, kind_code, choose in taken:
            whole[code] = choose(int(values[code]) for _, values in own[kind_code])
        for derived, counts in counted:
            whole[derived.code] = _count(
                derived, sum(counts({**answers, **values}) for _, values in own[derived.count])
            )
        return Facts(whole, {code: [(name, values | whole) for name, values in own[code]] for code in seen})

    return make


def compile_for_risk(product: Product, condition: Condition) -> Callable[[Facts], bool]:
    """A function that says whether a condition holds of a risk, or of any of the objects that it looks at."""
    variables = variables_of(product)
    holds = compile_condition(variables, condition)
    kind = next((variables[code].kind for code in codes_in(condition) if variables[code].kind), "")
    if not kind:
        return lambda facts: holds(facts.whole)
    return lambda facts: any(holds(values) for _, values in facts.each.get(kind, ()))


def years_between(since: date, day: date) -> int:
    """Full years from one day to another: one more on the same day of each year, on 1 March for 29 February."""
    return day.year - since.year - ((day.month, day.day) < (since.month, since.day))


def _of_object(insured: InsuredObject, kind: _Kind, day: date) -> dict[str, Answer]:
    fields: Mapping[str, Answer] = insured.fields  # type: ignore[assignment]
    values = {code: convert(fields[field]) for code, field, convert in kind.fields}
    for code, field, minimum, maximum in kind.ages:
        years = years_between(date.fromisoformat(str(fields[field])), day)
        if not minimum <= years <= maximum:
            text = f"{field} of {insured.id} {_out_of_range(code, years, minimum, maximum)}"
            raise ObjectInvalid(text, object=insured.id, field=field)
        values[code] = years
    return values


def _count(derived: Derived, count: int) -> int:
    if not derived.minimum <= count <= derived.maximum:
        text = f"{derived.code} {_out_of_range(derived.code, count, derived.minimum, derived.maximum)}"
        raise ObjectInvalid(text, object=derived.count, field="object_code")
    return count


def _out_of_range(code: str, value: int, minimum: int, maximum: int) -> str:
    return f"makes {code} {value}, and it can be from {minimum} to {maximum}"


def _kind(product: Product, code: str, variables: Mapping[str, Variable], used: frozenset[str]) -> _Kind:
    kind = next(kind for kind in product.objects if kind.code == code)
    fields = [
        (f"{code}.{question.code}", question.code, variables[f"{code}.{question.code}"].value)
        for question in kind.fields
        if f"{code}.{question.code}" in used
    ]
    ages = [
        _Age(derived.code, derived.years_since.partition(".")[2], derived.minimum, derived.maximum)
        for derived in product.derive
        if derived.years_since.startswith(f"{code}.")
    ]
    return _Kind(code, kind.is_single, fields, ages)


def _is_seen(product: Product, code: str, variables: Mapping[str, Variable], used: frozenset[str]) -> bool:
    """Whether a coverage is for each object of a kind, or a condition looks at each."""
    return any(offer.covers == code for offer in product.coverages) or any(
        variables[name].kind == code for name in used if name in variables
    )


def _is_converted(variables: Mapping[str, Variable], used: frozenset[str], code: str) -> bool:
    return code in used and variables[code].type in ("date", "decimal", "money")


def _is_of_question(product: Product, derived: Derived) -> bool:
    return any(question.code == derived.years_since for question in product.questions)
