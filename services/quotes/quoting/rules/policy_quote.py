"""Quotes for policies: a change of one, or its next term, priced segment by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.calendar import start_of
from libs.errors import FieldInvalid
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.quoting.rules.calculation import Calculator
from services.quotes.quoting.rules.quote import DECIDED, Kind, Quote, Segment
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.rules.underwriting import Outcome, Reason
from services.quotes.rating.rules.pricing import Risk

OCCASIONS: dict[Kind, FeeOccasion] = {
    Kind.NEW_BUSINESS: "new_business",
    Kind.ENDORSEMENT: "endorsement",
    Kind.RENEWAL: "renewal",
}
_GRAVITY = (Outcome.APPROVED, Outcome.REFERRED, Outcome.DECLINED)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some days of a term, and what is to be priced of them."""

    starts_on: date
    ends_on: date
    answers: Mapping[str, object]
    coverages: Sequence[Coverage] = ()
    objects: Sequence[InsuredObject] = ()
    is_changed: bool = True
    added: Mapping[str, date] = field(default_factory=dict)
    """The days on which objects were added to the term, by their names."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The policy that is quoted for, and why."""

    kind: Kind
    policy_id: UUID
    timeline_sequence: int


def check_days(stretches: Sequence[Stretch]) -> None:
    """Refuse segments that end before they begin, or overlap the one before."""
    until = date.min
    for number, stretch in enumerate(stretches):
        if stretch.starts_on < until:
            raise FieldInvalid(violations={f"segments[{number}].start_date": "is within the segment before"})
        if stretch.ends_on <= stretch.starts_on:
            raise FieldInvalid(violations={f"segments[{number}].end_date": "is not behind the start date"})
        until = stretch.ends_on


def create(
    calculator: Calculator, subject: Subject, stretches: Sequence[Stretch], now: datetime, origin: Origin
) -> Quote:
    """Price every segment of a term, and decide on those that change something.

    What the rules say of any of them holds of the whole. What the quote itself asks and costs is that of its last
    segment. The price of a next term is good at least until the term begins.
    """
    product = calculator.tariff.product
    first_day = stretches[0].starts_on
    outcome, reasons, segments = Outcome.APPROVED, dict[str, Reason](), list[Segment]()
    for stretch in stretches:
        risk = Risk(stretch.answers, stretch.coverages, None, stretch.objects, OCCASIONS[subject.kind], stretch.added)
        priced = calculator.tariff.price_from(risk, first_day)
        if stretch.is_changed:
            decision = calculator.decide(priced.facts)
            outcome = max(outcome, decision.outcome, key=_GRAVITY.index)
            reasons |= {reason.rule_code: reason for reason in decision.reasons}
        segments.append(
            Segment(
                starts_on=stretch.starts_on,
                ends_on=stretch.ends_on,
                answers=priced.answers,
                coverages=priced.coverages,
                objects=priced.objects,
                is_changed=stretch.is_changed,
                price=priced.price,
            )
        )
    last = segments[-1]
    valid_until = now + timedelta(days=product.validity_days)
    if subject.kind is Kind.RENEWAL:
        valid_until = max(valid_until, start_of(first_day, product.time_zone).astimezone(now.tzinfo))
    return Quote(
        id=origin.quote_id,
        number=origin.number,
        user_id=origin.user_id,
        created_by=origin.created_by,
        group_id=origin.quote_id,
        partner_id=origin.partner_id,
        kind=subject.kind,
        policy_id=subject.policy_id,
        timeline_sequence=subject.timeline_sequence,
        product_code=product.code,
        product_version=product.version,
        time_zone=product.time_zone,
        currency=product.currency,
        recorded_state=DECIDED[outcome],
        starts_on=first_day,
        ends_on=last.ends_on,
        answers=last.answers,
        coverages=last.coverages,
        objects=last.objects,
        price=last.price,
        reasons=tuple(reasons.values()),
        plans={plan.code: plan.installments for plan in product.plans},
        valid_until=valid_until,
        created_at=now,
        segments=tuple(segments),
    )
