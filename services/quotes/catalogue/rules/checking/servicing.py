"""Checking what a product says of sold policies: change, end, renewal, dunning, billing and claims."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from services.quotes.catalogue.rules.checking.problems import CODE, Problems, codes, is_amount
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.servicing import BillingPlan, Cancellation, Dunning
from services.quotes.catalogue.rules.table import bands

_LONGEST = 365  # days


def problems_of(product: Product) -> Problems:
    """What is wrong with the rules of sold policies."""
    yield from _cover(product)
    if product.change is not None:
        if not product.change.by:
            yield "change.by", "must name somebody"
        yield from _days("change.latest_days_before_end", product.change.latest_days_before_end)
    yield from _cancellation(product)
    if product.renewal is not None:
        yield from _days("renewal.offer_days", product.renewal.offer_days, least=1)
        yield from _days("renewal.late_days", product.renewal.late_days)
        if product.term.days:
            yield "renewal", "is for terms of years, and the product has a term of days"
    if product.reinstatement is not None:
        yield from _days("reinstatement.window_days", product.reinstatement.window_days, least=1)
    if product.dunning is not None:
        yield from _dunning(product.dunning)
    yield from _billing(product)
    yield from _claims(product)


def _cover(product: Product) -> Problems:
    yield from _days("cover.latest_days", product.cover.latest_days)
    for role, days in product.cover.backdating_days.items():
        yield from _days(f"cover.backdating_days.{role}", days)


def _cancellation(product: Product) -> Problems:
    yield from codes("cancellation", [rule.reason for rule in product.cancellation], "reason")
    for index, rule in enumerate(product.cancellation):
        yield from ((f"cancellation[{index}].{key}", text) for key, text in _cancellation_rule(rule))


def _cancellation_rule(rule: Cancellation) -> Problems:
    if not rule.by:
        yield "by", "must name somebody"
    if (rule.method == "short_rate") != (rule.rate is not None):
        yield "rate", "is what the method short_rate has, and no other"
    elif rule.rate is not None and not 0 <= rule.rate <= 1:
        yield "rate", "must be from 0 to 1"
    if (rule.method == "table") != bool(rule.table):
        yield "table", "is what the method table has, and no other"
    yield from (("table", text) for text in _kept(rule.table))
    yield from _days("notice_days", rule.notice_days)
    if rule.within_days is not None:
        yield from _days("within_days", rule.within_days, least=1)
        if rule.notice_days:
            yield "notice_days", "cannot go with within_days: what is flat needs no notice"
    if rule.minimum_earned is not None:
        if rule.method in ("flat", "none"):
            yield "minimum_earned", f"means nothing for the method {rule.method}"
        if not 0 <= rule.minimum_earned <= 1:
            yield "minimum_earned", "must be from 0 to 1"


def _kept(table: dict[str, Decimal]) -> Iterable[str]:
    """Days used and the share that is kept from each on: days of a year, and never less kept for more of them."""
    try:
        rows = bands(table)
    except ValueError as error:
        yield str(error)
        return
    if table and rows[0].first > 1:
        yield "must begin with day 0 or 1"
    if any(row.first != row.last or not 0 <= row.first <= _LONGEST for row in rows):
        yield f"has a day from 0 to {_LONGEST} for each row"
    kept = [table[row.row] for row in rows]
    if any(not 0 <= share <= 1 for share in kept) or kept != sorted(kept):
        yield "keeps shares from 0 to 1 that never fall"


def _dunning(dunning: Dunning) -> Problems:
    yield from _days("dunning.grace_days", dunning.grace_days)
    days = [step.day for step in dunning.steps]
    if days != sorted(days) or any(not 0 <= day <= dunning.grace_days for day in days):
        yield "dunning.steps", "go up from day 0 to the last day of grace"
    lapses = [step for step in dunning.steps if step.do == "lapse"]
    if lapses != list(dunning.steps[-1:]) or any(step.day != dunning.grace_days for step in lapses):
        yield "dunning.steps", "end with the one lapse, on the last day of grace"


def _billing(product: Product) -> Problems:
    if product.billing is None:
        return
    yield from _days("billing.billed_ahead_days", product.billing.billed_ahead_days)
    yield from codes("billing.plans", [plan.code for plan in product.billing.plans])
    for index, plan in enumerate(product.billing.plans):
        yield from ((f"billing.plans[{index}].{key}", text) for key, text in _billing_plan(product, plan))


def _billing_plan(product: Product, plan: BillingPlan) -> Problems:
    offered = {offer.code: offer.installments for offer in product.plans}
    if plan.code not in offered:
        yield "code", f"{plan.code!r} is not a plan of the product"
    elif plan.installments != offered[plan.code]:
        yield "installments", f"are {offered[plan.code]} in the plan that is offered"
    if not 0 <= plan.down_payment < 1:
        yield "down_payment", "must be from 0 to below 1"
    if plan.down_payment and plan.installments < 2:
        yield "down_payment", "goes with two installments or more"
    charged = {fee.code for fee in product.fees if "installment" in fee.when}
    if plan.fee and plan.fee not in charged:
        yield "fee", f"{plan.fee!r} is not a fee that is charged when an installment falls due"


def _claims(product: Product) -> Problems:
    claims = product.claims
    if claims is None:
        return
    if not claims.causes:
        yield "claims.causes", "must have an entry"
    for index, cause in enumerate(claims.causes):
        if not CODE.fullmatch(cause) or cause in claims.causes[:index]:
            yield f"claims.causes[{index}]", f"{cause!r} is no code, or there twice"
    offers = {offer.code: offer for offer in product.coverages}
    for code, rule in claims.coverages.items():
        key = f"claims.coverages.{code}"
        if code not in offers:
            yield key, "is not a coverage of the product"
        elif rule.aggregate == "term" and not offers[code].limits:
            yield f"{key}.aggregate", "needs a coverage with limits"
        if not 0 < rule.insurer_share <= 1:
            yield f"{key}.insurer_share", "must be above 0 and at most 1"
        if not is_amount(rule.initial_reserve, product):
            yield f"{key}.initial_reserve", f"must be an amount in {product.currency}"
    for code, rule_of_value in claims.underinsurance.items():
        key = f"claims.underinsurance.{code}"
        if code not in offers:
            yield key, "is not a coverage of the product"
        if not 0 < rule_of_value.clause <= 1:
            yield f"{key}.clause", "must be above 0 and at most 1"
    yield from _days("claims.appeal_days", claims.appeal_days)
    if claims.report_within_days is not None:
        yield from _days("claims.report_within_days", claims.report_within_days, least=1)
    if claims.approval is not None and not is_amount(claims.approval.second_above, product):
        yield "claims.approval.second_above", f"must be an amount in {product.currency}"


def _days(key: str, days: int, least: int = 0) -> Problems:
    if not least <= days <= _LONGEST:
        yield key, f"must be from {least} to {_LONGEST}"
