"""Checking a product: what the shape of its document alone does not show.

A product that passes can price whatever answers and coverages are accepted: nothing it refers to is missing, and
its tables have no holes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.errors import Invalid
from libs.money import Money, exponent
from services.quotes.catalogue.rules import table
from services.quotes.catalogue.rules.product import (
    CHOSEN,
    DEDUCTIBLE,
    LIMIT,
    Answer,
    Condition,
    Product,
    Question,
    Step,
)

Problems = Iterator[tuple[str, str]]
"""Pairs of a key, for example `rating[3].table`, and what is wrong with it."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
_KEYS = {
    "base": {"coverages", "amount", "per", "rate", "of"},
    "factor": {"coverages", "rate", "by", "table", "when"},
    "discount": {"coverages", "rate", "by", "table", "when"},
    "loading": {"coverages", "rate", "by", "table", "when"},
    "minimum": {"amount"},
    "tax": {"rate"},
    "fee": {"amount"},
}
_DEFAULT_PLAN = "annual"
_MOST_INSTALLMENTS = 60
_PHASES = ("coverages", "the whole premium", "the minimum", "tax and fees")


def problems_of(product: Product) -> Problems:
    """Everything that is wrong with a product; nothing where it can be sold."""
    yield from _general(product)
    yield from _questions(product)
    yield from _coverages(product)
    yield from _rating(product)
    yield from _underwriting(product)
    yield from _plans(product)


def _general(product: Product) -> Problems:
    if not _CODE.fullmatch(product.code):
        yield "code", f"{product.code!r} is not a code such as motor"
    if product.version < 1:
        yield "version", "must be 1 or more"
    if not _accepted(exponent, product.currency):
        yield "currency", f"{product.currency!r} is not an ISO 4217 code"
    try:
        ZoneInfo(product.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "time_zone", f"{product.time_zone!r} is not an IANA time zone"
    if product.on_sale_until is not None and product.on_sale_until <= product.on_sale_from:
        yield "on_sale_until", "must be later than on_sale_from"
    if not 1 <= product.validity_days <= 365:
        yield "validity_days", "must be from 1 to 365"
    if bool(product.term.years) == bool(product.term.days):
        yield "term", "takes either years or days"
    days = _question(product, product.term.days)
    if product.term.days and (days is None or days.type != "integer" or (days.minimum or 0) < 1):
        yield "term.days", f"{product.term.days!r} is not an integer question with a minimum of 1 or more"


def _plans(product: Product) -> Problems:
    """What can be billed: installments are spread over a year."""
    codes = [plan.code for plan in product.plans]
    yield from _codes("plans", codes)
    if _DEFAULT_PLAN not in codes:
        yield "plans", f"needs the plan {_DEFAULT_PLAN!r}, which is taken when none is chosen"
    for index, plan in enumerate(product.plans):
        if not 1 <= plan.installments <= _MOST_INSTALLMENTS:
            yield f"plans[{index}].installments", f"must be from 1 to {_MOST_INSTALLMENTS}"
        elif plan.installments > 1 and product.term.days:
            yield f"plans[{index}].installments", "must be 1, because a term of days may end before the others fall due"


def _questions(product: Product) -> Problems:
    yield from _codes("questions", [question.code for question in product.questions])
    for index, question in enumerate(product.questions):
        key = f"questions[{index}]"
        bounds = (question.minimum, question.maximum)
        if question.code in CHOSEN:
            yield f"{key}.code", f"{question.code!r} is kept for what is chosen of a coverage"
        if question.type == "integer":
            if question.minimum is None or question.maximum is None or question.minimum > question.maximum:
                yield key, "needs a minimum and a maximum that is not below it"
        elif bounds != (None, None):
            yield key, "has no minimum or maximum, because it is not an integer question"
        if (question.type == "choice") != bool(question.choices):
            yield f"{key}.choices", "are what a choice question has, and no other"
        if len(set(question.choices)) < len(question.choices):
            yield f"{key}.choices", "must differ"


def _coverages(product: Product) -> Problems:
    yield from _codes("coverages", [offer.code for offer in product.coverages])
    for index, offer in enumerate(product.coverages):
        for name, amounts in (("limits", offer.limits), ("deductibles", offer.deductibles)):
            if len(set(amounts)) < len(amounts):
                yield f"coverages[{index}].{name}", "must differ"
            for amount in amounts:
                if amount < 0 or not _is_amount(amount, product):
                    yield f"coverages[{index}].{name}", f"{amount} is not an amount in {product.currency}"


def _rating(product: Product) -> Problems:
    yield from _codes("rating", [step.name for step in product.rating], "name")
    offered = {offer.code for offer in product.coverages}
    started: list[str] = []
    phase = 0
    for index, step in enumerate(product.rating):
        key = f"rating[{index}]"
        yield from ((f"{key}.{name}", text) for name, text in _step(product, step))
        for code in step.coverages:
            if code not in offered:
                yield f"{key}.coverages", f"{code!r} is not a coverage of the product"
            elif (code in started) == (step.kind == "base"):
                yield f"{key}.coverages", f"{code!r} must begin with one base step, before its other steps"
        if step.kind == "base":
            started += step.coverages
        own = 0 if step.coverages else {"minimum": 2, "tax": 3, "fee": 3}.get(step.kind, 1)
        if own < phase or (own == 2 == phase):
            yield key, f"steps on {_PHASES[own]} stand before those on {_PHASES[phase]}, with one minimum at most"
        phase = max(phase, own)
    for code in offered - set(started):
        yield "rating", f"the coverage {code!r} has no base step"


def _step(product: Product, step: Step) -> Problems:
    """What is wrong with one step, by its own keys."""
    given = {name for name in _KEYS["base"] | _KEYS["factor"] if getattr(step, name) not in (None, (), "", {})}
    for name in given - _KEYS[step.kind]:
        yield name, f"means nothing for a step of kind {step.kind}"
    yield from _conditions(product, step.when)
    if step.kind == "base":
        yield from _base(product, step)
    elif step.kind in ("minimum", "fee"):
        if step.amount is None or step.amount < 0 or not _is_amount(step.amount, product):
            yield "amount", f"must be an amount in {product.currency}"
    elif step.kind == "tax":
        if step.rate is None or not 0 <= step.rate < 1:
            yield "rate", "must be from 0 to below 1"
    elif (step.rate is None) == (not step.by) or bool(step.by) != bool(step.table):
        yield "rate", "takes either a rate, or a table with what it goes by"
    else:
        for value in [step.rate] if step.rate is not None else step.table.values():
            if value < 0 or (value == 0 and step.kind == "factor") or (value >= 1 and step.kind == "discount"):
                yield "rate" if step.rate is not None else "table", f"{value} is out of range for a {step.kind}"
        if step.by:
            yield from _table(product, step)


def _base(product: Product, step: Step) -> Problems:
    if len(step.coverages) != 1:
        yield "coverages", "must name the one coverage that begins"
    if (step.amount is None) == (step.rate is None) or bool(step.of) != (step.rate is not None):
        yield "amount", "takes either an amount, or a rate with the sum it is of"
    if step.per and step.amount is None:
        yield "per", "goes with an amount"
    for name in ("amount", "rate"):
        if (value := getattr(step, name)) is not None and value < 0:
            yield name, "must not be negative"
    if step.of == LIMIT:
        yield from _chosen(product, step, "of")
    for code in (*step.per, *([step.of] if step.of not in ("", LIMIT) else [])):
        question = _question(product, code)
        if question is None or question.type != "integer" or (question.minimum or 0) < 0:
            yield "per" if code in step.per else "of", f"{code!r} is not an integer question without negative numbers"


def _table(product: Product, step: Step) -> Problems:
    """Whether the table has a row for each value that can come, and no other."""
    rows = set(step.table)
    if step.by in CHOSEN:
        yield from _chosen(product, step, "by")
        for offer in product.coverages:
            if offer.code in step.coverages:
                amounts = {str(amount) for amount in (offer.limits if step.by == LIMIT else offer.deductibles)}
                yield from _rows(rows, amounts)
        return
    question = _question(product, step.by)
    if question is None:
        yield "by", f"{step.by!r} is not a question of the product"
    elif question.type == "boolean":
        yield from _rows(rows, {"true", "false"})
    elif question.type == "choice":
        yield from _rows(rows, set(question.choices))
    else:
        try:
            wrong = table.hole(table.bands(step.table), question.minimum or 0, question.maximum or 0)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            yield "table", wrong


def _rows(rows: set[str], expected: set[str]) -> Problems:
    for row in sorted(expected - rows):
        yield "table", f"has no row for {row}"
    for row in sorted(rows - expected):
        yield "table", f"the row {row!r} is for nothing that can come"


def _chosen(product: Product, step: Step, key: str) -> Problems:
    """A step by limit or deductible needs coverages that offer one."""
    name = getattr(step, key)
    offers = [offer for offer in product.coverages if offer.code in step.coverages]
    if not offers or not all(offer.deductibles if name == DEDUCTIBLE else offer.limits for offer in offers):
        yield key, f"needs coverages that offer a {name}"


def _underwriting(product: Product) -> Problems:
    yield from _codes("underwriting", [rule.code for rule in product.underwriting])
    referring = {rule.code for rule in product.underwriting if rule.decision == "refer"}
    for index, rule in enumerate(product.underwriting):
        key = f"underwriting[{index}]"
        if not rule.when:
            yield f"{key}.when", "is missing"
        yield from ((f"{key}.{name}", text) for name, text in _conditions(product, rule.when))
        if (rule.decision == "approve") != bool(rule.waives):
            yield f"{key}.waives", "is what a rule that approves has, and no other"
        if not 0 <= rule.level <= 9:
            yield f"{key}.level", "must be from 0 to 9"
        elif rule.level and rule.decision != "refer":
            yield f"{key}.level", "is what a rule that refers has, and no other"
        for code in set(rule.waives) - referring:
            yield f"{key}.waives", f"{code!r} is not a rule that refers"


def _conditions(product: Product, condition: Condition) -> Problems:
    for code, comparison in condition.items():
        key = f"when.{code}"
        question = _question(product, code)
        if question is None:
            yield key, "is not a question of the product"
            continue
        bounds = [value for value in (comparison.at_least, comparison.at_most) if value is not None]
        values_compared = [*([] if comparison.equals is None else [comparison.equals]), *comparison.one_of]
        if not values_compared and not bounds:
            yield key, "compares with nothing"
        if comparison.equals is not None and comparison.one_of:
            yield key, "takes either equals or one_of"
        if bounds and question.type != "integer":
            yield key, "has an order for integer questions only"
        for value in [*values_compared, *bounds]:
            if not _can_come(question, value):
                yield key, f"{value!r} is not an answer to the question"


def _can_come(question: Question, value: Answer) -> bool:
    if question.type == "boolean":
        return isinstance(value, bool)
    if question.type == "choice":
        return value in question.choices
    return type(value) is int and (question.minimum or 0) <= value <= (question.maximum or 0)


def _codes(key: str, codes: Sequence[str], name: str = "code") -> Problems:
    if not codes and key in ("coverages", "plans", "rating"):
        yield key, "must have an entry"
    for index, code in enumerate(codes):
        if not _CODE.fullmatch(code):
            yield f"{key}[{index}].{name}", f"{code!r} is not a code of lower-case letters, digits and underscores"
        if code in codes[:index]:
            yield f"{key}[{index}].{name}", f"{code!r} is there twice"


def _question(product: Product, code: str) -> Question | None:
    return next((question for question in product.questions if question.code == code), None)


def _is_amount(amount: Decimal, product: Product) -> bool:
    return _accepted(Money.parse, str(amount), product.currency)


def _accepted(check: Callable[..., object], *arguments: object) -> bool:
    try:
        check(*arguments)
    except Invalid:
        return False
    return True
