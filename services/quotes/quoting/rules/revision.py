"""What a quote asks and offers: fixed when it is made, and anew with every revision. A draft asks only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.errors import FieldInvalid, Refused
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting.rules.calculation import Calculation
from services.quotes.quoting.rules.quote import DECIDED, Kind, Quote, QuoteStateInvalid, State, refuse
from services.quotes.rating.rules import answers, objects
from services.quotes.rating.rules.pricing import Risk, Tariff

CLONEABLE = frozenset({State.DECLINED, State.EXPIRED, State.WITHDRAWN})
CHANGEABLE = ("start_date", "answers", "coverages", "objects")
"""The fields of a quote that an update may name."""


class QuoteIncomplete(Refused):
    """Answers that a price needs are missing."""

    reason = "QUOTE_INCOMPLETE"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose a new quote is, who asked for it, and under which number."""

    quote_id: UUID
    number: str
    user_id: UUID
    """The party that it belongs to."""
    created_by: UUID
    partner_id: UUID | None = None
    group_id: UUID | None = None
    """The group of the quote; None for a new one."""


def create(calculation: Calculation, now: datetime, origin: Origin) -> Quote:
    """Offer a calculated price, in the state that the underwriting rules led to."""
    return _of_product(calculation.risk.product, now, origin, _offer(calculation, now))


def draft(tariff: Tariff, risk: Risk, now: datetime, origin: Origin) -> Quote:
    """Keep what is asked for until it is priced. What is given is checked; what is missing may come later."""
    return _of_product(tariff.product, now, origin, _request(tariff, risk, now))


def price(quote: Quote, calculation: Calculation, now: datetime) -> Quote:
    """Offer a draft at the price that was calculated for what it asks. See `check_draft`."""
    if quote.state(now) is not State.DRAFT:
        refuse(quote, now)
    return _revised(quote, _offer(calculation, now))


def update(quote: Quote, calculation: Calculation, now: datetime, by: UUID) -> Quote:
    """Offer other terms: the price that was calculated for what a quoted or referred quote asks from now on."""
    if quote.state(now) not in (State.QUOTED, State.REFERRED):
        refuse(quote, now)
    return _revised(quote, {**_offer(calculation, now), "revised_by": by})


def update_draft(quote: Quote, tariff: Tariff, risk: Risk, now: datetime, by: UUID) -> Quote:
    """Ask for something else with a draft."""
    if quote.state(now) is not State.DRAFT:
        refuse(quote, now)
    return _revised(quote, {**_request(tariff, risk, now), "revised_by": by})


def redate(quote: Quote, calculation: Calculation) -> Quote:
    """Price a quote anew for another first day of cover, which changes nothing else of the offer."""
    return _revised(quote, {**_offer(calculation, quote.created_at), "valid_until": quote.valid_until})


def clone(quote: Quote, tariff: Tariff, now: datetime, origin: Origin) -> Quote:
    """Ask again with a new draft what a quote asked that came to nothing, as far as the product still asks it."""
    if quote.state(now) not in CLONEABLE or quote.kind is not Kind.NEW_BUSINESS:
        raise QuoteStateInvalid(state=quote.state(now))
    known = {question.code for question in tariff.product.questions}
    starts_on = quote.starts_on
    if starts_on is not None and starts_on < tariff.product.today(now):
        starts_on = None
    given = {code: answer for code, answer in quote.answers.items() if code in known}
    asked = {(kind.code, field.code) for kind in tariff.product.objects for field in kind.fields}
    insured = [
        replace(item, fields={code: value for code, value in item.fields.items() if (item.code, code) in asked})
        for item in quote.objects
        if any(kind.code == item.code for kind in tariff.product.objects)
    ]
    return draft(tariff, Risk(given, quote.coverages, starts_on, insured), now, origin)


def check_changeable(quote: Quote, now: datetime) -> None:
    """Refuse what is neither a draft nor open, before anything is worked out for it.

    A quote for a policy is not changed either: policies makes another one of the newest timeline.
    """
    if quote.state(now) not in (State.DRAFT, State.QUOTED, State.REFERRED):
        refuse(quote, now)
    if quote.kind is not Kind.NEW_BUSINESS:
        raise QuoteStateInvalid("a quote for a policy is made anew, and not changed", state=quote.state(now))


def check_draft(quote: Quote, product: Product, now: datetime) -> None:
    """Refuse to price what is no draft, or a draft that leaves questions open: `QuoteIncomplete` names them all."""
    if quote.state(now) is not State.DRAFT:
        refuse(quote, now)
    missing = answers.missing(product, quote.answers)
    if missing:
        raise QuoteIncomplete(questions=",".join(missing))


def check_mask(paths: Sequence[str]) -> None:
    """Refuse an update that names no field, or one that cannot be changed."""
    if not paths:
        raise FieldInvalid(violations={"update_mask": "names no field"})
    for path in paths:
        if path not in CHANGEABLE:
            raise FieldInvalid(violations={f"quote.{path}": "cannot be changed"})


def risk_of(quote: Quote) -> Risk:
    """What the quote asks for, as it would be asked again."""
    return Risk(quote.answers, quote.coverages, quote.starts_on, quote.objects)


def _offer(calculation: Calculation, now: datetime) -> dict[str, Any]:
    risk, decision = calculation.risk, calculation.decision
    return {
        "recorded_state": DECIDED[calculation.approval.outcome(decision)],
        "product_version": risk.product.version,
        "starts_on": risk.starts_on,
        "ends_on": risk.ends_on,
        "answers": risk.answers,
        "coverages": risk.coverages,
        "objects": risk.objects,
        "price": risk.price,
        "reasons": decision.reasons,
        "approval": calculation.approval,
        "question": "",
        "answer_due_at": None,
        "plans": _plans(risk.product),
        "valid_until": _valid_until(risk.product, now),
    }


def _request(tariff: Tariff, risk: Risk, now: datetime) -> dict[str, Any]:
    product, starts_on = tariff.product, risk.starts_on
    return {
        "recorded_state": State.DRAFT,
        "product_version": product.version,
        "starts_on": tariff.first_day(starts_on, now) if starts_on is not None else None,
        "ends_on": None,
        "answers": answers.check_given(product, risk.answers),
        "coverages": tariff.choose(risk.coverages) if risk.coverages else (),
        "objects": objects.check_given(product, risk.objects),
        "price": None,
        "reasons": (),
        "plans": _plans(product),
        "valid_until": _valid_until(product, now),
    }


def _of_product(product: Product, now: datetime, origin: Origin, terms: dict[str, Any]) -> Quote:
    return Quote(
        id=origin.quote_id,
        number=origin.number,
        user_id=origin.user_id,
        created_by=origin.created_by,
        group_id=origin.group_id or origin.quote_id,
        partner_id=origin.partner_id,
        product_code=product.code,
        time_zone=product.time_zone,
        currency=product.currency,
        created_at=now,
        **terms,
    )


def _revised(quote: Quote, terms: dict[str, Any]) -> Quote:
    return replace(quote, **terms, revision=quote.revision + 1, version=quote.version + 1)


def _plans(product: Product) -> dict[str, int]:
    return {plan.code: plan.installments for plan in product.plans}


def _valid_until(product: Product, now: datetime) -> datetime:
    """The end of the days that the product says, whatever the first day of cover."""
    return now + timedelta(days=product.validity_days)
