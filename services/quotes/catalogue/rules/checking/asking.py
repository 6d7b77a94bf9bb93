"""Checking what a product asks: questions, objects, what is derived from them, and how answers can contradict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from services.quotes.catalogue.rules.checking import conditions
from services.quotes.catalogue.rules.checking.problems import TOO_LARGE, Problems, codes, is_too_large
from services.quotes.catalogue.rules.product import CHOSEN, LONGEST_TEXT, MOST_OBJECTS, ObjectType, Product, Question
from services.quotes.catalogue.rules.variables import codes_in, places_of, to_places, variables_of

_MOST_PLACES = 6
_LONGEST_PATTERN = 200
_MOST_WAYS = 100_000  # in which a text can be tried against a pattern
_CLASS = re.compile(r"\\[dDwWsS.\\/+*?()|{}^$-]|\[\^?(?:\\.|[^\]\\])+\]")
_QUANTIFIER = re.compile(r"[*+?]|\{([0-9]{1,3})(?:(,)([0-9]{1,3})?)?\}")


def problems_of(product: Product) -> Problems:
    """What is wrong with questions, objects, derived values and checks."""
    question_codes = [question.code for question in product.questions]
    yield from codes("questions", question_codes)
    yield from _questions(product, product.questions, "questions", "questions")
    for index, question in enumerate(product.questions):
        if not question.text:
            yield f"questions[{index}].text", "is missing"
    yield from codes("objects", [kind.code for kind in product.objects])
    for index, kind in enumerate(product.objects):
        yield from _object_type(product, kind, f"objects[{index}]")
    yield from _derived(product, question_codes)
    yield from codes("checks", [check.code for check in product.checks])
    for index, check in enumerate(product.checks):
        if not check.refuse:
            yield f"checks[{index}].refuse", "is missing"
        yield from conditions.problems_of(product, check.refuse, f"checks[{index}].refuse")


def _questions(product: Product, questions: Sequence[Question], key: str, what: str) -> Problems:
    for index, question in enumerate(questions):
        if question.code in CHOSEN:
            yield f"{key}[{index}].code", f"{question.code!r} is kept for what is chosen of a coverage"
        yield from ((f"{key}[{index}]{name}", text) for name, text in _question(product, question))


def _question(product: Product, question: Question) -> Problems:
    bounds = [bound for bound in (question.minimum, question.maximum) if bound is not None]
    if question.type in ("integer", "decimal", "money"):
        places = places_of(question, product.currency)
        if len(bounds) < 2 or bounds[0] > bounds[1]:
            yield "", "needs a minimum and a maximum that is not below it"
        elif question.type == "integer" and any(isinstance(bound, Decimal) for bound in bounds):
            yield "", "has a minimum and a maximum that are whole numbers"
        if question.type == "money" and any(is_too_large(bound, product) for bound in bounds):
            yield "", f"has a bound that {TOO_LARGE}"
        for bound in bounds:
            try:
                to_places(bound, places)
            except ValueError as error:
                yield "", f"{bound} {error}"
    elif bounds:
        yield "", "has no minimum or maximum, because it is not a question for a number"
    if question.places is not None and (question.type != "decimal" or not 0 <= question.places <= _MOST_PLACES):
        yield ".places", f"are from 0 to {_MOST_PLACES}, and of a decimal question only"
    if (question.type == "choice") != bool(question.choices):
        yield ".choices", "are what a choice question has, and no other"
    if len(set(question.choices)) < len(question.choices):
        yield ".choices", "must differ"
    if question.maximum_length is not None and not (
        question.type == "text" and 1 <= question.maximum_length <= LONGEST_TEXT
    ):
        yield ".maximum_length", f"is from 1 to {LONGEST_TEXT}, and of a text question only"
    if question.pattern and question.type != "text":
        yield ".pattern", "is what a text question can have, and no other"
    elif question.pattern and (wrong := _pattern(question.pattern)):
        yield ".pattern", wrong


def _pattern(pattern: str) -> str:
    """What is wrong with a pattern. It has characters, classes and how often each comes: no groups, no choices.

    So no text takes long to be refused, whatever its pattern is.
    """
    if len(pattern) > _LONGEST_PATTERN:
        return f"has more than {_LONGEST_PATTERN} characters"
    plain = _CLASS.sub("x", pattern)
    ways = 1
    for once, more, most in _QUANTIFIER.findall(plain):
        ways *= LONGEST_TEXT if more and not most else int(most or once or LONGEST_TEXT) - int(once or 0) + 1
    rest = _QUANTIFIER.sub("", plain)
    if set(rest) & set("()|^$[]{}\\*+?"):
        return "takes characters, classes such as [A-Z] and counts such as {2,4} only"
    if ways > _MOST_WAYS:
        return "can be tried in too many ways: use counts such as {2} in place of some + and *"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no pattern: {error}"
    return ""


def _object_type(product: Product, kind: ObjectType, key: str) -> Problems:
    if not 0 <= kind.minimum <= kind.maximum <= MOST_OBJECTS or kind.maximum == 0:
        yield key, f"needs a minimum and a maximum from 1 to {MOST_OBJECTS} that is not below it"
    names = [question.code for question in kind.fields]
    if not names:
        yield f"{key}.fields", "must have an entry"
    yield from codes(f"{key}.fields", names)
    yield from _questions(product, kind.fields, f"{key}.fields", "fields")
    if kind.identifier and kind.identifier not in names:
        yield f"{key}.identifier", f"{kind.identifier!r} is not one of its fields"
    for question in kind.fields:
        if question.code == kind.identifier and question.type not in ("text", "integer"):
            yield f"{key}.identifier", "is a text or an integer"


def _derived(product: Product, question_codes: Sequence[str]) -> Problems:
    yield from codes("derive", [derived.code for derived in product.derive])
    variables = variables_of(product)
    kinds = {kind.code: kind for kind in product.objects}
    for index, derived in enumerate(product.derive):
        key = f"derive[{index}]"
        if derived.code in question_codes or derived.code in CHOSEN:
            yield f"{key}.code", f"{derived.code!r} is a question, or kept"
        if not 0 <= derived.minimum <= derived.maximum:
            yield key, "needs a minimum of 0 or more and a maximum that is not below it"
        if bool(derived.years_since) == bool(derived.count):
            yield key, "takes either years_since or count"
        elif derived.count:
            if derived.count not in kinds:
                yield f"{key}.count", f"{derived.count!r} is not a kind of object"
            if derived.take:
                yield f"{key}.take", "goes with years_since"
            if derived.code in set(codes_in(derived.when)):
                yield f"{key}.when", "looks at what it derives"
            yield from conditions.problems_of(product, derived.when, f"{key}.when", derived.count)
            counts = {other.code for other in product.derive if other.count or other.take}
            for code in sorted(counts & set(codes_in(derived.when)) - {derived.code}):
                yield f"{key}.when", f"{code!r} is derived of all objects"
        else:
            source = variables.get(derived.years_since)
            if source is None or source.type != "date":
                yield f"{key}.years_since", f"{derived.years_since!r} is not a date that is asked"
            elif bool(derived.take) and (not source.kind or not kinds[source.kind].minimum):
                yield f"{key}.take", "goes with a kind of object of which there is always one, and can be several"
            if derived.when:
                yield f"{key}.when", "goes with count"
