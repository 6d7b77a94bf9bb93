"""Quotes as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.money import Money
from libs.premium import Coverage, InsuredObject
from libs.rpc import values
from services.quotes.quoting.rules.calculation import Calculation
from services.quotes.quoting.rules.filter import Filter
from services.quotes.quoting.rules.quote import Kind, Quote, Segment, State
from services.quotes.quoting.rules.underwriting import Outcome, Reason
from services.quotes.rating.rules.price import Price
from services.quotes.rating.rules.pricing import Risk

_STATES = {
    State.DRAFT: pb.Quote.STATE_DRAFT,
    State.QUOTED: pb.Quote.STATE_QUOTED,
    State.REFERRED: pb.Quote.STATE_REFERRED,
    State.DECLINED: pb.Quote.STATE_DECLINED,
    State.ACCEPTED: pb.Quote.STATE_ACCEPTED,
    State.BOUND: pb.Quote.STATE_BOUND,
    State.EXPIRED: pb.Quote.STATE_EXPIRED,
    State.WITHDRAWN: pb.Quote.STATE_WITHDRAWN,
}
_STATES_BY_PROTO = {proto: state for state, proto in _STATES.items()}
QUOTE_KINDS = {
    Kind.NEW_BUSINESS: pb.Quote.KIND_NEW_BUSINESS,
    Kind.ENDORSEMENT: pb.Quote.KIND_ENDORSEMENT,
    Kind.RENEWAL: pb.Quote.KIND_RENEWAL,
}
_QUOTE_KINDS_BY_PROTO = {proto: kind for kind, proto in QUOTE_KINDS.items()}
_DECISIONS = {
    Outcome.APPROVED: pb.UNDERWRITING_DECISION_APPROVED,
    Outcome.REFERRED: pb.UNDERWRITING_DECISION_REFERRED,
    Outcome.DECLINED: pb.UNDERWRITING_DECISION_DECLINED,
}
_KINDS = {
    "base": pb.PriceStep.KIND_BASE,
    "factor": pb.PriceStep.KIND_FACTOR,
    "discount": pb.PriceStep.KIND_DISCOUNT,
    "loading": pb.PriceStep.KIND_LOADING,
    "minimum": pb.PriceStep.KIND_MINIMUM,
    "tax": pb.PriceStep.KIND_TAX,
    "fee": pb.PriceStep.KIND_FEE,
}

_Priced = pb.Quote | pb.QuoteSegment | pb.CalculateQuoteResponse


def filter_from_proto(request: pb.ListQuotesRequest) -> Filter:
    """Which quotes are asked for."""
    return Filter(
        state=_STATES_BY_PROTO.get(request.state),
        kind=_QUOTE_KINDS_BY_PROTO.get(request.kind),
        product_code=request.product_code,
        user_id=ids.decode("cus", request.customer_id) if request.customer_id else None,
        policy_id=ids.decode("pol", request.policy_id) if request.policy_id else None,
        group_id=ids.decode("qgr", request.group_id) if request.group_id else None,
        number=request.quote_number,
        since=values.optional_time(request, "create_start_time"),
        until=values.optional_time(request, "create_end_time"),
    )


def start_date_from_proto(request: pb.AcceptQuoteRequest) -> date | None:
    """The first day of cover that is asked for instead of that of the quote."""
    return values.date_from_proto(request.start_date, "start_date") if request.HasField("start_date") else None


def expected_total_from_proto(request: pb.AcceptQuoteRequest) -> Money | None:
    """The total that the caller agrees to."""
    return values.money_from_proto(request.expected_total) if request.HasField("expected_total") else None


def risk_from_proto(risk: pb.Risk) -> Risk:
    """What is to be priced."""
    return Risk(
        answers=dict(risk.answers.items()),
        coverages=[values.coverage_from_proto(coverage) for coverage in risk.coverages],
        starts_on=values.date_from_proto(risk.start_date, "risk.start_date") if risk.HasField("start_date") else None,
        objects=[values.insured_object_from_proto(insured) for insured in risk.objects],
    )


def changed_risk(risk: Risk, quote: pb.Quote, paths: Sequence[str]) -> Risk:
    """A risk with the fields of a quote that `paths` name; see `revision.CHANGEABLE`."""
    has_day = quote.HasField("start_date")
    starts_on = values.date_from_proto(quote.start_date, "quote.start_date") if has_day else None
    coverages = [values.coverage_from_proto(coverage) for coverage in quote.coverages]
    objects = [values.insured_object_from_proto(insured) for insured in quote.objects]
    return Risk(
        answers=dict(quote.answers.items()) if "answers" in paths else risk.answers,
        coverages=coverages if "coverages" in paths else risk.coverages,
        starts_on=starts_on if "start_date" in paths else risk.starts_on,
        objects=objects if "objects" in paths else risk.objects,
    )


def calculation_to_proto(calculation: Calculation) -> pb.CalculateQuoteResponse:
    """A price that nobody keeps. A risk that is declined has none."""
    risk = calculation.risk
    price = risk.price if calculation.decision.outcome is not Outcome.DECLINED else None
    message = pb.CalculateQuoteResponse(
        product_version=risk.product.version,
        decision=_DECISIONS[calculation.decision.outcome],
        underwriting_reasons=[_reason_to_proto(reason) for reason in calculation.decision.reasons],
    )
    _fill_price(message, price, risk.starts_on, risk.ends_on)
    _fill_steps(message, price)
    _fill_risk(message, risk.coverages, risk.objects)
    return message


def quote_to_proto(quote: Quote, now: datetime) -> pb.Quote:
    """The quote as it stands at a moment."""
    price = quote.offered_price
    message = pb.Quote(
        quote_id=ids.encode("quo", quote.id),
        quote_number=quote.number,
        user_id=ids.encode("usr", quote.created_by),
        product_code=quote.product_code,
        product_version=quote.product_version,
        state=_STATES[quote.state(now)],
        start_date=values.date_to_proto(quote.starts_on) if quote.starts_on else None,
        end_date=values.date_to_proto(quote.ends_on) if quote.ends_on else None,
        underwriting_reasons=[_reason_to_proto(reason) for reason in quote.reasons],
        plan_codes=quote.plans.keys(),
        valid_until_time=values.time_to_proto(quote.valid_until),
        accept_time=values.time_to_proto(quote.accepted_at) if quote.accepted_at else None,
        policy_id=ids.encode("pol", quote.policy_id) if quote.policy_id else "",
        create_time=values.time_to_proto(quote.created_at),
        etag=etag_of(quote, now),
        time_zone=quote.time_zone,
        plan_installments=quote.plans.values(),
        customer_id=ids.encode("cus", quote.user_id),
        kind=QUOTE_KINDS[quote.kind],
        group_id=ids.encode("qgr", quote.group_id),
        revision=quote.revision,
        transaction_id=ids.encode("ptx", quote.transaction_id) if quote.transaction_id else "",
        partner_id=ids.encode("par", quote.partner_id) if quote.partner_id else "",
        indicative=quote.is_indicative,
        withdraw_reason=quote.withdraw_reason,
        timeline_sequence=quote.timeline_sequence,
        approved_rule_codes=quote.approval.rules,
        loadings=[pb.Loading(coverage_code=code, rate=str(rate)) for code, rate in quote.approval.loadings],
        conditions=quote.approval.conditions,
        deductibles=[
            pb.Deductible(coverage_code=code, amount=values.money_to_proto(amount))
            for code, amount in quote.approval.deductibles
        ],
        waiting_for_customer=quote.answer_due_at is not None,
        information_request=quote.question,
        information_due_time=values.time_to_proto(quote.answer_due_at) if quote.answer_due_at else None,
    )
    values.fill_struct(message.answers, quote.answers)
    _fill_price(message, price, quote.starts_on, quote.ends_on)
    _fill_steps(message, price)
    _fill_risk(message, quote.coverages, quote.objects)
    for segment in quote.segments:
        _fill_segment(message.segments.add(), segment, quote)
    return message


def etag_of(quote: Quote, now: datetime) -> str:
    """Changes with every change of the quote, and when its validity ends."""
    return f"{quote.version}-{quote.state(now)}"


def _fill_segment(message: pb.QuoteSegment, segment: Segment, quote: Quote) -> None:
    values.fill_date(message.start_date, segment.starts_on)
    values.fill_date(message.end_date, segment.ends_on)
    values.fill_struct(message.answers, segment.answers)
    price = segment.price if quote.offered_price is not None else None
    _fill_price(message, price, segment.starts_on, segment.ends_on)
    _fill_risk(message, segment.coverages, segment.objects)


def _fill_risk(message: _Priced, coverages: Iterable[Coverage], objects: Iterable[InsuredObject]) -> None:
    for coverage in coverages:
        values.fill_coverage(message.coverages.add(), coverage)
    for insured in objects:
        values.fill_insured_object(message.objects.add(), insured)


def _fill_price(message: _Priced, price: Price | None, starts_on: date | None, ends_on: date | None) -> None:
    if price is not None and starts_on is not None and ends_on is not None:
        values.fill_premium(message.premium, price.premium, price.charges(starts_on, ends_on))


def _fill_steps(message: pb.Quote | pb.CalculateQuoteResponse, price: Price | None) -> None:
    if price is None:
        return
    for step in price.steps:
        shown = message.steps.add(
            name=step.name,
            kind=_KINDS[step.kind],
            coverage_code=step.coverage_code,
            factor=step.factor,
            object_id=step.object_id,
        )
        values.fill_money(shown.amount, Money(step.amount, price.currency))


def _reason_to_proto(reason: Reason) -> pb.UnderwritingReason:
    return pb.UnderwritingReason(rule_code=reason.rule_code, text=reason.text, level=reason.level)
