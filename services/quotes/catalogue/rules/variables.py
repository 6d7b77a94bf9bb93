"""Rating variables: whatever steps, conditions and checks of a product can go by.

These are the answers to questions, the fields of insured objects (`vehicle.value`) and derived values. Everything
that has an order is a whole number here: an amount of money in minor units, a decimal number times ten to its
places, a date by its day's number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from libs.errors import Invalid
from libs.money import exponent
from services.quotes.catalogue.rules.product import (
    Answer,
    Condition,
    Derived,
    ObjectType,
    Product,
    Question,
    QuestionType,
    Reference,
)

_DEFAULT_PLACES = 2


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that a risk has, or each of its objects of a kind."""

    code: str
    type: QuestionType
    kind: str = ""
    """The kind of object of which each has its own value; empty for what the risk as a whole has."""
    places: int = 0
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()

    @property
    def is_ordered(self) -> bool:
        """Whether two values can be compared by size."""
        return self.type in ("integer", "decimal", "money", "date")

    @property
    def is_number(self) -> bool:
        """Whether an amount can be a multiple of it, or a rate a part of it."""
        return self.type in ("integer", "decimal", "money")

    def value(self, answer: Answer | Decimal | date) -> Answer:
        """An answer as it is compared and multiplied. `ValueError` when it is none to this."""
        if self.type == "date":
            return (answer if isinstance(answer, date) else date.fromisoformat(str(answer))).toordinal()
        if self.type in ("decimal", "money"):
            return to_places(answer, self.places)
        if isinstance(answer, Decimal | date):
            raise ValueError("is not a whole number")
        return answer


def to_places(answer: object, places: int) -> int:
    """A number times ten to the places. `ValueError` when it has more of them."""
    numerator, denominator = Decimal(str(answer)).as_integer_ratio()
    whole, rest = divmod(numerator * 10**places, denominator)
    if rest:
        raise ValueError(f"has more than {places} decimal places")
    return int(whole)


def variables_of(product: Product) -> dict[str, Variable]:
    """The variables of a product by their codes. What cannot be meant is left out; the checks name it."""
    variables = {q.code: _asked(product, q, q.code, "") for q in product.questions if q.rating}
    types = {kind.code: kind for kind in product.objects}
    for kind in product.objects:
        for question in kind.fields:
            code = f"{kind.code}.{question.code}"
            if question.rating:
                variables[code] = _asked(product, question, code, "" if kind.is_single else kind.code)
    for derived in product.derive:
        variable = _derived(derived, variables, types)
        if variable is not None:
            variables[derived.code] = variable
    return variables


def codes_used(product: Product) -> frozenset[str]:
    """The codes of every variable that a step, a condition or a count of the product goes by."""
    conditions = [step.when for step in product.rating]
    conditions += [rule.when for rule in product.underwriting]
    conditions += [check.refuse for check in product.checks]
    conditions += [derived.when for derived in product.derive]
    used = {code for condition in conditions for code in codes_in(condition)}
    for step in product.rating:
        used |= {*step.per, step.by, step.of}
    return frozenset(used)


def codes_in(condition: Condition) -> Iterator[str]:
    """The codes that a condition looks at, those that it compares with among them."""
    for code, comparison in condition.items():
        yield code
        yield from (bound.question for bound in comparison.bounds.values() if isinstance(bound, Reference))


def places_of(question: Question, currency: str) -> int:
    """Decimal places of the answers to a question."""
    if question.type == "decimal":
        return _DEFAULT_PLACES if question.places is None else question.places
    if question.type == "money":
        try:
            return exponent(currency)
        except Invalid:
            return _DEFAULT_PLACES
    return 0


def _asked(product: Product, question: Question, code: str, kind: str) -> Variable:
    places = places_of(question, product.currency)
    least, most = (_bound(bound, places) for bound in (question.minimum, question.maximum))
    if question.type == "date":
        least, most = date.min.toordinal(), date.max.toordinal()
    return Variable(code, question.type, kind, places, least, most, question.choices)


def _bound(bound: int | Decimal | None, places: int) -> int:
    try:
        return to_places(bound or 0, places)
    except ValueError:
        return 0


def _derived(derived: Derived, variables: Mapping[str, Variable], types: Mapping[str, ObjectType]) -> Variable | None:
    if derived.count in types:
        most = min(derived.maximum, types[derived.count].maximum)
        return Variable(derived.code, "integer", minimum=derived.minimum, maximum=most)
    source = variables.get(derived.years_since)
    if source is None or source.type != "date":
        return None
    kind = "" if derived.take else source.kind
    return Variable(derived.code, "integer", kind, minimum=derived.minimum, maximum=derived.maximum)
