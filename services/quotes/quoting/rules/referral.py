"""Referrals: quotes that wait for an underwriter, and what one may decide on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import prod
from uuid import UUID

from libs.errors import AuthorityExceeded, FieldInvalid, Refused
from libs.premium import Coverage
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting.rules.approval import NOTHING_APPROVED, Approval
from services.quotes.quoting.rules.quote import Kind, Quote, Segment, State, refuse
from services.quotes.quoting.rules.underwriting import Reason
from services.quotes.rating.rules.coverage import Deductible
from services.quotes.rating.rules.loading import Loading
from services.quotes.rating.rules.price import Price

BY_UNDERWRITER = "underwriter"
"""The rule code of a reason that an underwriter declined for."""
_MOST_LOADED = 100
"""How many times as high loadings together may make a premium: far more than any takes, far less than a sum holds."""


class RoleMissing(Refused):
    """The user is no underwriter, who could decide on a referral."""

    reason = "ROLE_MISSING"


class Verdict(StrEnum):
    """What an underwriter decides."""

    APPROVE = "approve"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Information:
    """Something that the customer was asked, and the answer; None before it came."""

    asked_by: UUID
    asked_at: datetime
    question: str
    due_at: datetime
    answered_by: UUID | None = None
    answered_at: datetime | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Referral:
    """A revision of a quote that waits, or waited, for an underwriter."""

    quote_id: UUID
    revision: int
    opened_at: datetime
    """When the quote was referred first, in one stretch."""
    assignee: UUID | None = None
    information: tuple[Information, ...] = ()
    verdict: Verdict | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an underwriter says of a referred quote."""

    verdict: Verdict
    rules: tuple[str, ...] = ()
    """The rules that are decided on; empty for all that are open."""
    loadings: tuple[Loading, ...] = ()
    conditions: tuple[str, ...] = ()
    deductibles: tuple[Deductible, ...] = ()
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ruling makes of the coverages and the price of a quote."""

    coverages: tuple[Coverage, ...]
    price: Price
    segments: tuple[Segment, ...] = ()


def level_of(quote: Quote) -> int:
    """The authority that approving the quote takes: the highest of its open rules."""
    return max((reason.level for reason in quote.open_reasons), default=0)


def check_referred(quote: Quote, now: datetime) -> None:
    """Refuse what does not wait for an underwriter."""
    if quote.state(now) is not State.REFERRED:
        refuse(quote, now)


def check_ruling(quote: Quote, ruling: Ruling, level: int) -> None:
    """Refuse a ruling that is incomplete, contradicts itself, or is beyond the underwriter's `level`."""
    open_rules = {reason.rule_code for reason in quote.open_reasons}
    if ruling.rules and set(ruling.rules) != open_rules:
        raise FieldInvalid(violations={"rule_codes": f"are not those that are open: {', '.join(sorted(open_rules))}"})
    covered = {coverage.code for coverage in quote.coverages}
    for number, loading in enumerate(ruling.loadings):
        if loading.coverage_code and loading.coverage_code not in covered:
            raise FieldInvalid(violations={f"loadings[{number}].coverage_code": "is not a coverage of the quote"})
    _check_deductibles(quote, ruling.deductibles, covered)
    if prod(1 + loading.rate for loading in ruling.loadings) > _MOST_LOADED:
        raise FieldInvalid(violations={"loadings": f"make a premium more than {_MOST_LOADED} times as high"})
    if ruling.verdict is Verdict.DECLINE:
        _check_decline(ruling)
    needed = level_of(quote)
    if ruling.verdict is Verdict.APPROVE and level < needed:
        raise AuthorityExceeded(needed=needed, held=level)


def is_own(quote: Quote, user_id: UUID) -> bool:
    """Whether a user asked for the quote as it is, so that somebody else has to decide on it."""
    return user_id in (quote.created_by, quote.revised_by)


def approve(quote: Quote, ruling: Ruling, terms: Terms, product: Product, now: datetime) -> Quote:
    """Offer a referred quote at the terms that the ruling came to, with a new validity."""
    return replace(
        quote,
        recorded_state=State.QUOTED,
        approval=approval_of(quote, ruling),
        coverages=terms.coverages,
        price=terms.price,
        segments=terms.segments,
        valid_until=max(quote.valid_until, now + timedelta(days=product.validity_days)),
        question="",
        answer_due_at=None,
        revision=quote.revision + 1,
        version=quote.version + 1,
    )


def decline(quote: Quote, ruling: Ruling) -> Quote:
    """Take the risk not, for the underwriter's reason."""
    return replace(
        quote,
        recorded_state=State.DECLINED,
        reasons=(Reason(BY_UNDERWRITER, ruling.reason), *quote.reasons),
        approval=NOTHING_APPROVED,
        question="",
        answer_due_at=None,
        revision=quote.revision + 1,
        version=quote.version + 1,
    )


def _check_deductibles(quote: Quote, deductibles: Sequence[Deductible], covered: Collection[str]) -> None:
    """`FieldInvalid` for a deductible of a coverage that the quote has not, of one twice, or of a change of a policy.

    A change is quoted on what its policy insures by then, and with its own coverages: it is to be quoted anew.
    """
    if deductibles and quote.kind is Kind.ENDORSEMENT:
        raise FieldInvalid(violations={"deductibles": "are not for a change: have it quoted with other coverages"})
    codes = [deductible.coverage_code for deductible in deductibles]
    for number, code in enumerate(codes):
        if code not in covered:
            raise FieldInvalid(violations={f"deductibles[{number}].coverage_code": "is not a coverage of the quote"})
        if code in codes[:number]:
            raise FieldInvalid(violations={f"deductibles[{number}].coverage_code": "is named twice"})


def _check_decline(ruling: Ruling) -> None:
    """`FieldInvalid`, naming each field that does not go with declining."""
    wrong = {}
    if not ruling.reason:
        wrong["reason"] = "is needed to decline"
    if ruling.loadings:
        wrong["loadings"] = "are for an approval"
    if ruling.conditions:
        wrong["conditions"] = "are for an approval"
    if ruling.deductibles:
        wrong["deductibles"] = "are for an approval"
    if wrong:
        raise FieldInvalid(violations=wrong)


def approval_of(quote: Quote, ruling: Ruling) -> Approval:
    """What is approved once the ruling stands: all rules, with what earlier rulings took for theirs."""
    earlier = quote.approval
    return Approval(
        rules=tuple(reason.rule_code for reason in quote.reasons),
        loadings=(*earlier.loadings, *ruling.loadings),
        conditions=(*earlier.conditions, *ruling.conditions),
        deductibles=(*earlier.deductibles, *ruling.deductibles),
    )


def ask(quote: Quote, question: str, due_at: datetime, now: datetime) -> Quote:
    """Ask the customer something; the quote waits for the answer."""
    check_referred(quote, now)
    if not now < due_at <= quote.valid_until:
        raise FieldInvalid(violations={"due_time": "is over, or behind the validity of the quote"})
    return replace(quote, question=question, answer_due_at=due_at, version=quote.version + 1)


def answer(quote: Quote, now: datetime) -> Quote:
    """Take the customer's answer; an answer that is late counts too."""
    if quote.state(now) is not State.REFERRED or quote.answer_due_at is None:
        refuse(quote, now)
    return replace(quote, question="", answer_due_at=None, version=quote.version + 1)
