"""Renewals as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from bazaruto.policies.v1 import renewal_pb2 as pb
from libs import ids
from libs.premium import InsuredObject
from libs.rpc import values
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.renewal import Decision, Offer, Preference, next_number
from services.policies.lifecycle.rules.term import Risk

_PREFERENCES = {item: pb.RenewalPreference.Value(f"RENEWAL_PREFERENCE_{item.name}") for item in Preference}
_PREFERENCES_BY_PROTO = {proto: preference for preference, proto in _PREFERENCES.items()}
_STATES = {
    "draft": pb.RenewalOffer.STATE_DRAFT,
    "quoted": pb.RenewalOffer.STATE_QUOTED,
    "referred": pb.RenewalOffer.STATE_REFERRED,
    "declined": pb.RenewalOffer.STATE_DECLINED,
    "accepted": pb.RenewalOffer.STATE_ACCEPTED,
}


def preference_from_proto(request: pb.SetRenewalPreferenceRequest) -> Preference:
    """What is to become of a policy when its term ends."""
    return _PREFERENCES_BY_PROTO[request.preference]


def risk_from_proto(request: pb.QuoteRenewalRequest, known: Risk) -> Risk:
    """What is known of a risk, with what the request says otherwise."""
    asked: dict[str, InsuredObject] = {}
    for number, message in enumerate(request.objects):
        insured = values.insured_object_from_proto(message)
        asked[insured.id or f"#{number}"] = insured
    objects = {item.id: item for item in known.objects} | asked
    return Risk(
        {**known.answers, **values.struct_from_proto(request.answers)}, tuple(objects.values()), known.coverages
    )


def offer_to_proto(policy: Policy, offer: Offer) -> pb.RenewalOffer:
    """The next term as it is offered."""
    message = pb.RenewalOffer(
        policy_id=ids.encode("pol", policy.id),
        term_number=next_number(policy),
        quote_id=ids.encode("quo", offer.quote_id),
        state=_STATES.get(offer.state, pb.RenewalOffer.STATE_CLOSED),
        product_version=offer.product_version,
        start_date=values.date_to_proto(offer.starts_on),
        end_date=values.date_to_proto(offer.ends_on) if offer.ends_on else None,
        valid_until_time=values.time_to_proto(offer.valid_until),
    )
    if offer.premium is not None:
        values.fill_premium(message.premium, offer.premium, offer.lines)
    return message


def setting_to_proto(policy: Policy, decision: Decision) -> pb.RenewalSetting:
    """What was decided last of the next term of a policy."""
    return pb.RenewalSetting(
        policy_id=ids.encode("pol", policy.id),
        preference=_PREFERENCES[decision.preference],
        by_insurer=decision.is_insurers,
        reason=decision.reason,
        actor=decision.actor,
        set_time=values.time_to_proto(decision.decided_at),
        etag=etag_of(decision),
    )


def etag_of(decision: Decision | None) -> str:
    """Changes with every decision on the next term."""
    return str(decision.version) if decision else "0"
