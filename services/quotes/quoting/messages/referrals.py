"""Referrals as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.rpc import values
from services.quotes.quoting.rules.quote import Quote
from services.quotes.quoting.rules.referral import Information, Referral, Ruling, Verdict, level_of
from services.quotes.rating.rules.coverage import Deductible
from services.quotes.rating.rules.loading import Loading

_VERDICTS = {
    pb.DecideReferralRequest.DECISION_APPROVE: Verdict.APPROVE,
    pb.DecideReferralRequest.DECISION_DECLINE: Verdict.DECLINE,
}


def ruling_from_proto(request: pb.DecideReferralRequest) -> Ruling:
    """What an underwriter says."""
    return Ruling(
        verdict=_VERDICTS[request.decision],
        rules=tuple(request.rule_codes),
        loadings=tuple(_loading(loading) for loading in request.loadings),
        conditions=tuple(request.conditions),
        deductibles=tuple(
            Deductible(deductible.coverage_code, values.money_from_proto(deductible.amount))
            for deductible in request.deductibles
        ),
        reason=request.reason,
        note=request.note,
    )


def due_time_from_proto(request: pb.RequestQuoteInformationRequest) -> datetime:
    """Until when the customer is to answer; the contract requires it."""
    return values.optional_time(request, "due_time") or values.time_from_proto(request.due_time)


def age_from_proto(request: pb.ListReferralsRequest) -> timedelta | None:
    """For how long a referral has to wait to be listed."""
    return request.age.ToTimedelta() if request.HasField("age") else None


def referral_to_proto(quote: pb.Quote, offer: Quote, referral: Referral) -> pb.Referral:
    """A quote that waits, with what is known of its waiting."""
    return pb.Referral(
        quote=quote,
        level=level_of(offer),
        rule_codes=[reason.rule_code for reason in offer.open_reasons],
        assignee_user_id=ids.encode("usr", referral.assignee) if referral.assignee else "",
        refer_time=values.time_to_proto(referral.opened_at),
        information=[_information_to_proto(information) for information in referral.information],
    )


def _loading(loading: pb.Loading) -> Loading:
    return Loading(loading.coverage_code, Decimal(loading.rate))


def _information_to_proto(information: Information) -> pb.QuoteInformation:
    answered_by, answered_at = information.answered_by, information.answered_at
    return pb.QuoteInformation(
        ask_user_id=ids.encode("usr", information.asked_by),
        ask_time=values.time_to_proto(information.asked_at),
        question=information.question,
        due_time=values.time_to_proto(information.due_at),
        answer_user_id=ids.encode("usr", answered_by) if answered_by else "",
        answer_time=values.time_to_proto(answered_at) if answered_at else None,
        answer=information.answer,
    )
