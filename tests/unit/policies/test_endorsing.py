"""Who may change a policy from which day, and what keeps a quote from changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import protovalidate
import pytest

from bazaruto.policies.v1 import endorsement_pb2 as pb
from libs import ids
from libs.errors import DomainError, FieldInvalid
from libs.identity.callers import AccessDenied
from libs.identity.scopes import NOTHING
from services.policies.lifecycle.flows import endorsing
from services.policies.lifecycle.flows.endorsing import Acting
from services.policies.lifecycle.messages.endorsements import settlement_from_proto
from services.policies.lifecycle.rules.change_request import Request, delta_of
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.product import ChangeRule, CoverRule
from services.policies.lifecycle.rules.quote import check_endorsable
from services.policies.lifecycle.rules.settlement import ChargeTiming, CreditTiming, Settlement
from tests.unit.policies.contracts import RULES
from tests.unit.policies.endorsing import a_contract, quoted
from tests.unit.policies.stacks import FIRST, risk

CHANGEABLE = replace(
    RULES,
    change=ChangeRule(frozenset({"customer", "underwriter"}), latest_days_before_end=15),
    cover=CoverRule(backdating_days={"underwriter": 30}),
)
MORE = {"price_liability": 150000}


def in_force(base: Contract) -> Contract:
    """The policy, paid before its first day."""
    terms = tuple(
        replace(term, cover_starts_at=datetime.fromisoformat("2025-01-01T00:00:00Z")) for term in base.policy.terms
    )
    return replace(base, policy=replace(base.policy, terms=terms, activated_at=terms[0].cover_starts_at))


@pytest.mark.parametrize(
    ("roles", "days_ago", "refused"),
    [
        ({"customer"}, 0, ""),
        ({"customer"}, 1, "BACKDATING"),
        ({"underwriter"}, 30, ""),
        ({"underwriter", "customer"}, 31, "BACKDATING"),
        ({"agent"}, 0, "ACCESS_DENIED"),
        (set[str](), 0, "ACCESS_DENIED"),
    ],
)
def test_role_decides_how_far_back_a_change_is_dated(roles: set[str], days_ago: int, refused: str) -> None:
    base = in_force(a_contract(rules=CHANGEABLE))
    now = datetime.fromisoformat("2025-03-01T12:00:00Z")
    asked = Request(now.date() - timedelta(days=days_ago), MORE)
    try:
        endorsing.plan(base, asked, Acting(frozenset(roles), NOTHING), now)
        reason = ""
    except DomainError as error:
        reason = error.reason
    assert reason == refused


def test_product_without_a_rule_of_change_lets_nobody_change_a_policy() -> None:
    with pytest.raises(AccessDenied):
        endorsing.rule_for(a_contract(), FIRST, frozenset({"underwriter"}))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ""),
        ({"kind": "renewal"}, "QUOTE_STATE_INVALID"),
        ({"policy_id": "pol_other"}, "QUOTE_STATE_INVALID"),
        ({"state": "bound"}, "POLICY_ALREADY_ISSUED"),
        ({"state": "quoted"}, "QUOTE_NOT_ACCEPTED"),
        ({"state": "referred"}, "QUOTE_NOT_ACCEPTED"),
        ({"state": "withdrawn"}, "QUOTE_NOT_ACCEPTED"),
        ({"state": "expired"}, "QUOTE_EXPIRED"),
        ({"valid_until": datetime.fromisoformat("2025-02-01T00:00:00Z")}, "QUOTE_EXPIRED"),
    ],
)
def test_quote_has_to_be_accepted_good_and_of_this_policy(fields: Mapping[str, Any], reason: str) -> None:
    base = a_contract()
    policy_id = ids.encode("pol", base.policy.id)
    now = datetime.fromisoformat("2025-02-01T00:00:01Z")
    accepted = replace(quoted(base, Request(FIRST, MORE)), policy_id=policy_id, valid_until=now)
    try:
        check_endorsable(replace(accepted, **fields), policy_id, now)
        refused = ""
    except DomainError as error:
        refused = error.reason
    assert refused == reason


def test_change_is_settled_as_the_product_says_unless_it_is_asked_otherwise() -> None:
    usual, other = ChangeRule(frozenset()), ChangeRule(frozenset(), charges_at_once=True, refunds_credit=True)
    unasked = pb.IssueEndorsementRequest()
    assert settlement_from_proto(unasked, usual) == Settlement(ChargeTiming.SPREAD, CreditTiming.ACCOUNT)
    assert settlement_from_proto(unasked, other) == Settlement(ChargeTiming.AT_ONCE, CreditTiming.REFUND)
    asked = pb.IssueEndorsementRequest(
        charge_timing=pb.IssueEndorsementRequest.CHARGE_TIMING_NEXT_INSTALLMENT,
        credit_timing=pb.IssueEndorsementRequest.CREDIT_TIMING_ACCOUNT,
    )
    assert settlement_from_proto(asked, other) == Settlement(ChargeTiming.NEXT_INSTALLMENT, CreditTiming.ACCOUNT)


def test_values_that_answer_no_question_are_refused_by_their_places() -> None:
    (car,) = risk().objects
    request = Request(
        FIRST,
        answers={"annual_km": None, "garage": True},
        added_objects=(replace(car, id="car_2", fields={"name": ["Rui"]}),),
        changed_objects={car.id: {"value": {"units": 1}}},
    )
    with pytest.raises(FieldInvalid) as refused:
        delta_of(request, risk())
    places = ["answers.annual_km", "objects.add[0].fields.name", "objects.change[0].fields.value"]
    assert list(refused.value.violations) == places


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": {"change": [{"object_id": "car"}, {"object_id": "car"}]}},
        {"coverages": {"add": [{"coverage_code": "glass"}, {"coverage_code": "glass"}]}},
        {"coverages": {"change": [{"coverage_code": "glass"}, {"coverage_code": "glass"}]}},
    ],
)
def test_what_is_changed_twice_in_one_request_is_refused(changes: dict[str, Any]) -> None:
    day = {"year": 2027, "month": 3, "day": 1}
    request = pb.QuoteEndorsementRequest(policy_id="pol_01m86535y1eaws2ywvkrpm6m62", effective_date=day, **changes)
    with pytest.raises(protovalidate.ValidationError, match="twice"):
        protovalidate.validate(request)
