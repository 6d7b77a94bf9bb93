"""Quotes for policies: a change of one, or its next term, priced segment by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.calendar import start_of
from libs.errors import FieldInvalid
from libs.premium import Coverage, InsuredObject
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.servicing import FeeOccasion
from services.quotes.quoting.rules import revision
from services.quotes.quoting.rules.approval import NOTHING_APPROVED
from services.quotes.quoting.rules.calculation import Calculator
from services.quotes.quoting.rules.carrying import Earlier, as_asked, carried, together
from services.quotes.quoting.rules.quote import DECIDED, Kind, Quote, Segment
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.rules.underwriting import Outcome, Reason
from services.quotes.rating.rules import answers, objects
from services.quotes.rating.rules.answers import AnswerInvalid
from services.quotes.rating.rules.pricing import Risk

OCCASIONS: dict[Kind, FeeOccasion] = {
    Kind.NEW_BUSINESS: "new_business",
    Kind.ENDORSEMENT: "endorsement",
    Kind.RENEWAL: "renewal",
}
NO_OTHERS: Mapping[int, Calculator] = {}
NOTHING_EARLIER: Mapping[UUID, Earlier] = {}
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
    product_version: int = 0
    """The version that its term has; 0 for that of the quote."""
    term_starts_on: date | None = None
    """The first day of its term; None for that of the first stretch."""
    quote_id: UUID | None = None
    """The quote by which the policy had these days priced last; None where that is not known."""


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


def check_next_term(subject: Subject, stretches: Sequence[Stretch]) -> None:
    """Refuse a successor of the version for anything but the whole of a next term."""
    if subject.kind is not Kind.RENEWAL or len(stretches) != 1:
        raise FieldInvalid(violations={"with_successor": "is for the one segment of a next term"})


def next_term(
    calculator: Calculator,
    subject: Subject,
    stretch: Stretch,
    now: datetime,
    origin: Origin,
    earlier: Mapping[UUID, Earlier] = NOTHING_EARLIER,
) -> Quote:
    """Price the next term of a policy with the version that follows its own, which may ask less, or more.

    Where it asks what is not answered, the quote is a draft.
    """
    product = calculator.tariff.product
    asked_answers, asked_objects = as_asked(product, stretch.answers, stretch.objects)
    stretch = replace(stretch, answers=asked_answers, objects=asked_objects)
    is_answered = not answers.missing(product, stretch.answers) and not objects.missing(product, stretch.objects)
    if is_answered:
        ends_on = product.term.end(stretch.starts_on, calculator.tariff.check_answers(stretch.answers))
        return create(calculator, subject, [replace(stretch, ends_on=ends_on)], now, origin, earlier=earlier)
    asked = Risk(stretch.answers, stretch.coverages, None, stretch.objects)
    return replace(
        revision.draft(calculator.tariff, asked, now, origin),
        kind=subject.kind,
        policy_id=subject.policy_id,
        timeline_sequence=subject.timeline_sequence,
        starts_on=stretch.starts_on,
        valid_until=_valid_until(product, stretch.starts_on, now),
    )


def _valid_until(product: Product, first_day: date, now: datetime) -> datetime:
    """Until when a next term can be had at its price: the days that the product says, and until it begins."""
    begins_at = start_of(first_day, product.time_zone).astimezone(now.tzinfo)
    return max(now + timedelta(days=product.validity_days), begins_at)


def create(
    calculator: Calculator,
    subject: Subject,
    stretches: Sequence[Stretch],
    now: datetime,
    origin: Origin,
    others: Mapping[int, Calculator] = NO_OTHERS,
    earlier: Mapping[UUID, Earlier] = NOTHING_EARLIER,
) -> Quote:
    """Price every segment of a term, and decide on those that change something.

    What the rules say of any of them holds of the whole. What the quote itself asks and costs is that of its last
    segment. The price of a next term is good at least until the term begins. A change may go on in later terms:
    `others` are the versions that they have. What an underwriter approved of `earlier` quotes of the policy stands,
    with its loadings, where its rules read nothing of the change. `AnswerInvalid` for a change that would make its term
    longer or shorter.
    """
    product = calculator.tariff.product
    first_day = stretches[0].starts_on
    ends = {stretch.term_starts_on or first_day: stretch.ends_on for stretch in stretches}
    outcome, reasons, segments = Outcome.APPROVED, dict[str, Reason](), list[Segment]()
    approvals, opened = [NOTHING_APPROVED], set[str]()
    for stretch in stretches:
        risk = Risk(stretch.answers, stretch.coverages, None, stretch.objects, OCCASIONS[subject.kind], stretch.added)
        of_term = others.get(stretch.product_version, calculator)
        term_starts_on = stretch.term_starts_on or first_day
        priced = of_term.tariff.price_from(risk, term_starts_on)
        days = of_term.tariff.product.term.days
        if days and subject.kind is Kind.ENDORSEMENT and priced.ends_on != ends[term_starts_on]:
            raise AnswerInvalid(f"{days} cannot change: the days of a term are fixed", question=days)
        decision = of_term.decide(priced.facts)
        approval = carried(
            earlier.get(stretch.quote_id) if stretch.quote_id else None,
            of_term.tariff,
            priced.facts,
            term_starts_on,
            stretch.starts_on,
            stretch.added,
            {reason.rule_code for reason in decision.reasons} if subject.kind is Kind.RENEWAL else None,
        )
        if stretch.is_changed:
            outcome = max(outcome, approval.outcome(decision), key=_GRAVITY.index)
            reasons |= {reason.rule_code: reason for reason in decision.reasons}
            opened |= {reason.rule_code for reason in approval.open_reasons(decision.reasons)}
            approvals.append(approval)
        segments.append(
            Segment(
                starts_on=stretch.starts_on,
                ends_on=stretch.ends_on,
                answers=priced.answers,
                coverages=priced.coverages,
                objects=priced.objects,
                is_changed=stretch.is_changed,
                price=of_term.tariff.load(priced.price, approval.loadings, term_starts_on, OCCASIONS[subject.kind]),
            )
        )
    last = segments[-1]
    valid_until = now + timedelta(days=product.validity_days)
    if subject.kind is Kind.RENEWAL:
        valid_until = _valid_until(product, first_day, now)
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
        approval=together(approvals, opened),
        plans={plan.code: plan.installments for plan in product.plans},
        valid_until=valid_until,
        created_at=now,
        segments=tuple(segments),
    )
