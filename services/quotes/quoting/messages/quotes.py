"""Quotes as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from google.protobuf import struct_pb2

from bazaruto.common.v1 import premium_pb2
from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.money import Money
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
    return pb.CalculateQuoteResponse(
        product_version=risk.product.version,
        decision=_DECISIONS[calculation.decision.outcome],
        underwriting_reasons=[_reason_to_proto(reason) for reason in calculation.decision.reasons],
        premium=_premium_to_proto(price, risk.starts_on, risk.ends_on),
        steps=_steps_to_proto(price),
        coverages=[values.coverage_to_proto(coverage) for coverage in risk.coverages],
        objects=[values.insured_object_to_proto(insured) for insured in risk.objects],
    )


def quote_to_proto(quote: Quote, now: datetime) -> pb.Quote:
    """The quote as it stands at a moment."""
    answers = struct_pb2.Struct()
    answers.update(quote.answers)
    price = quote.offered_price
    return pb.Quote(
        quote_id=ids.encode("quo", quote.id),
        quote_number=quote.number,
        user_id=ids.encode("usr", quote.created_by),
        product_code=quote.product_code,
        product_version=quote.product_version,
        state=_STATES[quote.state(now)],
        start_date=values.date_to_proto(quote.starts_on) if quote.starts_on else None,
        end_date=values.date_to_proto(quote.ends_on) if quote.ends_on else None,
        answers=answers,
        coverages=[values.coverage_to_proto(coverage) for coverage in quote.coverages],
        premium=_premium_to_proto(price, quote.starts_on, quote.ends_on),
        steps=_steps_to_proto(price),
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
        objects=[values.insured_object_to_proto(insured) for insured in quote.objects],
        transaction_id=ids.encode("ptx", quote.transaction_id) if quote.transaction_id else "",
        partner_id=ids.encode("par", quote.partner_id) if quote.partner_id else "",
        indicative=quote.is_indicative,
        withdraw_reason=quote.withdraw_reason,
        timeline_sequence=quote.timeline_sequence,
        approved_rule_codes=quote.approval.rules,
        loadings=[pb.Loading(coverage_code=code, rate=str(rate)) for code, rate in quote.approval.loadings],
        conditions=quote.approval.conditions,
        waiting_for_customer=quote.answer_due_at is not None,
        information_request=quote.question,
        information_due_time=values.time_to_proto(quote.answer_due_at) if quote.answer_due_at else None,
        segments=[_segment_to_proto(segment, quote) for segment in quote.segments],
    )


def etag_of(quote: Quote, now: datetime) -> str:
    """Changes with every change of the quote, and when its validity ends."""
    return f"{quote.version}-{quote.state(now)}"


def _segment_to_proto(segment: Segment, quote: Quote) -> pb.QuoteSegment:
    answers = struct_pb2.Struct()
    answers.update(segment.answers)
    price = segment.price if quote.offered_price is not None else None
    return pb.QuoteSegment(
        start_date=values.date_to_proto(segment.starts_on),
        end_date=values.date_to_proto(segment.ends_on),
        answers=answers,
        objects=[values.insured_object_to_proto(insured) for insured in segment.objects],
        coverages=[values.coverage_to_proto(coverage) for coverage in segment.coverages],
        premium=_premium_to_proto(price, segment.starts_on, segment.ends_on),
    )


def _premium_to_proto(price: Price | None, starts_on: date | None, ends_on: date | None) -> premium_pb2.Premium | None:
    if price is None or starts_on is None or ends_on is None:
        return None
    return values.premium_to_proto(price.premium, price.charges(starts_on, ends_on))


def _steps_to_proto(price: Price | None) -> list[pb.PriceStep]:
    if price is None:
        return []
    return [
        pb.PriceStep(
            name=step.name,
            kind=_KINDS[step.kind],
            coverage_code=step.coverage_code,
            factor=step.factor,
            amount=values.money_to_proto(Money(step.amount, price.currency)),
            object_id=step.object_id,
        )
        for step in price.steps
    ]


def _reason_to_proto(reason: Reason) -> pb.UnderwritingReason:
    return pb.UnderwritingReason(rule_code=reason.rule_code, text=reason.text, level=reason.level)
