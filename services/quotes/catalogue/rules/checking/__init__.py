"""Checking a product: what the shape of its document alone does not show.

A product that passes can price whatever answers, objects and coverages are accepted: nothing it refers to is missing,
its tables have no holes, and what it says of sold policies can be carried out.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.money import exponent
from services.quotes.catalogue.rules.checking import asking, conditions, golden, rating, servicing
from services.quotes.catalogue.rules.checking.problems import CODE, Problems, accepted, codes
from services.quotes.catalogue.rules.product import Product

_DEFAULT_PLAN = "annual"
_MOST_INSTALLMENTS = 60


def problems_of(product: Product) -> Problems:
    """Everything that is wrong with a product; nothing where it can be sold."""
    yield from _general(product)
    yield from asking.problems_of(product)
    yield from rating.problems_of(product)
    yield from _underwriting(product)
    yield from _plans(product)
    yield from servicing.problems_of(product)
    yield from golden.problems_of(product)


def _general(product: Product) -> Problems:
    if not CODE.fullmatch(product.code):
        yield "code", f"{product.code!r} is not a code such as motor"
    if product.version < 1:
        yield "version", "must be 1 or more"
    if not accepted(exponent, product.currency):
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
    days = next((question for question in product.questions if question.code == product.term.days), None)
    if product.term.days and (days is None or days.type != "integer" or (days.minimum or 0) < 1):
        yield "term.days", f"{product.term.days!r} is not an integer question with a minimum of 1 or more"


def _plans(product: Product) -> Problems:
    """What can be billed: installments are spread over a year."""
    plans = [plan.code for plan in product.plans]
    yield from codes("plans", plans)
    if _DEFAULT_PLAN not in plans:
        yield "plans", f"needs the plan {_DEFAULT_PLAN!r}, which is taken when none is chosen"
    for index, plan in enumerate(product.plans):
        if not 1 <= plan.installments <= _MOST_INSTALLMENTS:
            yield f"plans[{index}].installments", f"must be from 1 to {_MOST_INSTALLMENTS}"
        elif plan.installments > 1 and product.term.days:
            yield f"plans[{index}].installments", "must be 1, because a term of days may end before the others fall due"


def _underwriting(product: Product) -> Problems:
    yield from codes("underwriting", [rule.code for rule in product.underwriting])
    referring = {rule.code for rule in product.underwriting if rule.decision == "refer"}
    for index, rule in enumerate(product.underwriting):
        key = f"underwriting[{index}]"
        if not rule.when:
            yield f"{key}.when", "is missing"
        yield from conditions.problems_of(product, rule.when, f"{key}.when")
        if (rule.decision == "approve") != bool(rule.waives):
            yield f"{key}.waives", "is what a rule that approves has, and no other"
        if not 0 <= rule.level <= 9:
            yield f"{key}.level", "must be from 0 to 9"
        elif rule.level and rule.decision != "refer":
            yield f"{key}.level", "is what a rule that refers has, and no other"
        for code in set(rule.waives) - referring:
            yield f"{key}.waives", f"{code!r} is not a rule that refers"
