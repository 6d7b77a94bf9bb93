"""Quotes that wait for an underwriter, on a real server and a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.type import money_pb2

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.identity.authority import Authority
from libs.rpc import values
from tests.integration.quotes.conftest import House, coverage, risk
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.unit.quotes.sold import ANSWERS

APPROVE, DECLINE = pb.DecideReferralRequest.DECISION_APPROVE, pb.DecideReferralRequest.DECISION_DECLINE


@pytest.fixture
def underwriter(people: People) -> Person:
    return people.user("underwriter", authority=Authority(underwriting_level=9))


def decide(house: House, who: Person, quote_id: str, decision: Any = APPROVE, **fields: Any) -> pb.Quote:
    metadata = {"idempotency_key": fields.pop("idempotency_key", new_key())}
    if "if_match" in fields:
        metadata["if_match"] = fields.pop("if_match")
    request = pb.DecideReferralRequest(quote_id=quote_id, decision=decision, **fields)
    return house.quotes.DecideReferral(request, metadata=who.metadata(**metadata))


def queue(house: House, who: Person, **fields: Any) -> pb.ListReferralsResponse:
    return house.quotes.ListReferrals(pb.ListReferralsRequest(**fields), metadata=who.metadata())


def ask(house: House, who: Person, quote_id: str, hours: float = 24) -> pb.Quote:
    due = values.time_to_proto(datetime.now(UTC) + timedelta(hours=hours))
    request = pb.RequestQuoteInformationRequest(quote_id=quote_id, question="Who drives?", due_time=due)
    return house.quotes.RequestQuoteInformation(request, metadata=who.metadata())


def answer(house: House, who: Person, quote_id: str) -> pb.Quote:
    request = pb.ProvideQuoteInformationRequest(quote_id=quote_id, answer="Nobody but me.")
    return house.quotes.ProvideQuoteInformation(request, metadata=who.metadata())


def refusal(call: Any, *args: Any, **fields: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **fields)
    return reason_of(caught.value), metadata_of(caught.value)


def cents(quote: pb.Quote) -> int:
    return values.money_from_proto(quote.premium.total).minor


def test_approved_quote_has_the_loadings_in_its_price_and_is_accepted(
    house: House, person: Person, underwriter: Person
) -> None:
    made = house.create(person, risk(use="taxi", coverages=[coverage("theft")]))
    key = new_key()
    loadings = [pb.Loading(coverage_code="theft", rate="0.25"), pb.Loading(rate="0.1")]
    fields: dict[str, Any] = {
        "rule_codes": ["taxi"], "loadings": loadings, "conditions": ["A camera records."], "reason": "Good record.",
        "if_match": f'"{made.etag}"',
    }  # fmt: skip
    checked = decide(house, underwriter, made.quote_id, validate_only=True, **fields)
    assert house.get(person, made.quote_id) == made
    approved = decide(house, underwriter, made.quote_id, idempotency_key=key, **fields)
    assert decide(house, underwriter, made.quote_id, idempotency_key=key, **fields) == approved
    assert checked.premium == approved.premium
    assert (approved.state, approved.indicative, approved.revision) == (pb.Quote.STATE_QUOTED, False, 2)
    assert [step.name for step in approved.steps].count("uw_loading") == 2
    assert sum(values.money_from_proto(step.amount).minor for step in approved.steps) == cents(approved) > cents(made)
    assert sum(values.money_from_proto(line.amount).minor for line in approved.premium.lines) == cents(approved)
    assert list(approved.approved_rule_codes) == ["taxi"]
    assert list(approved.loadings) == loadings
    assert list(approved.conditions) == ["A camera records."]
    assert house.get(person, made.quote_id) == approved
    assert list(queue(house, underwriter).referrals) == []
    assert house.accept(person, made.quote_id).state == pb.Quote.STATE_ACCEPTED
    actions = [action for (action,) in house.rows("SELECT action FROM audit_events ORDER BY id")]
    assert actions == ["quote_referred", "quote_decided", "quote_accepted"]


def deductible(code: str, units: int) -> pb.Deductible:
    return pb.Deductible(coverage_code=code, amount=money_pb2.Money(currency_code="EUR", units=units))


def test_deductible_that_an_underwriter_sets_is_priced_kept_and_carried(
    house: House, person: Person, underwriter: Person
) -> None:
    chosen = [coverage("own_damage"), coverage("theft")]
    made = house.create(person, risk(use="taxi", coverages=chosen))
    higher = deductible("own_damage", 1000)
    chosen[0].deductible.CopyFrom(higher.amount)
    as_asked = house.create(person, risk(use="taxi", coverages=chosen))
    checked = decide(house, underwriter, made.quote_id, deductibles=[higher], validate_only=True)
    approved = decide(house, underwriter, made.quote_id, deductibles=[higher])
    assert checked.premium == approved.premium == as_asked.premium != made.premium
    assert list(approved.coverages) == list(as_asked.coverages) != list(made.coverages)
    assert list(approved.deductibles) == [higher]
    chosen[0].deductible.units = 250
    updated = house.update(person, made.quote_id, coverages=chosen)
    assert (updated.state, updated.premium) == (pb.Quote.STATE_QUOTED, approved.premium), "it stays as it was approved"
    accepted = house.accept(person, made.quote_id)
    assert (list(accepted.coverages), list(accepted.deductibles)) == (list(approved.coverages), [higher])
    ((after,),) = house.rows("SELECT details FROM audit_events WHERE action = 'quote_decided'")
    assert after["deductibles"] == "own_damage 1000.00 EUR"


def test_deductible_has_to_be_one_that_the_product_offers(house: House, person: Person, underwriter: Person) -> None:
    made = house.create(person, risk(use="taxi", coverages=[coverage("own_damage")]))
    twice = [deductible("own_damage", 1000), deductible("own_damage", 250)]
    for decision, deductibles, reason in (
        (APPROVE, [deductible("own_damage", 333)], "COVERAGE_INVALID"),
        (APPROVE, [deductible("theft", 1000)], "INVALID_FIELD"),
        (APPROVE, twice, "INVALID_FIELD"),
        (DECLINE, twice[:1], "INVALID_FIELD"),
    ):
        asked = {"deductibles": deductibles, "reason": "Old.", "validate_only": True}
        assert refusal(decide, house, underwriter, made.quote_id, decision, **asked)[0] == reason


def test_declined_quote_shows_no_price_anywhere(house: House, person: Person, underwriter: Person) -> None:
    made = house.create(person, risk(use="taxi"))
    assert refusal(decide, house, underwriter, made.quote_id, DECLINE)[0] == "INVALID_FIELD"
    declined = decide(house, underwriter, made.quote_id, DECLINE, reason="Too many taxis.", note="secret")
    assert declined.state == pb.Quote.STATE_DECLINED
    for shown in (declined, house.get(person, made.quote_id), *house.listed(person)):
        assert not shown.HasField("premium")
        assert list(shown.steps) == []
        assert next(reason.text for reason in shown.underwriting_reasons) == "Too many taxis."
        assert b"secret" not in shown.SerializeToString()
    ((after,),) = house.rows("SELECT after FROM audit_events WHERE action = 'quote_decided'")
    assert "total" not in after
    refused = ("RISK_DECLINED", {"rule": "underwriter", "state": "declined"})
    assert refusal(house.accept, person, made.quote_id) == refused


def test_level_of_the_underwriter_reaches_the_highest_open_rule(house: House, people: People, person: Person) -> None:
    made = house.create(person, risk(use="taxi"))
    house.rows(
        'UPDATE quotes SET revision = 2, reasons = \'[["taxi", "A taxi.", 5]]\' RETURNING id'
    )  # the products that are shipped have no rule of this level
    low = people.user("underwriter", authority=Authority(underwriting_level=4))
    assert refusal(decide, house, low, made.quote_id) == ("AUTHORITY_EXCEEDED", {"needed": "5", "held": "4"})
    assert house.get(person, made.quote_id).state == pb.Quote.STATE_REFERRED
    assert [entry.level for entry in queue(house, low).referrals] == [5]
    assert list(queue(house, low, level=4).referrals) == []
    assert len(queue(house, low, level=5).referrals) == 1
    high = people.user("underwriter", authority=Authority(underwriting_level=5))
    assert decide(house, high, made.quote_id).state == pb.Quote.STATE_QUOTED


def test_nobody_decides_on_what_they_asked_for(house: House, people: People, person: Person) -> None:
    both = people.user("customer", "underwriter", authority=Authority(underwriting_level=9))
    own = house.create(both, risk(use="taxi"))
    changed = house.create(person, risk(use="taxi"))
    house.update(both, changed.quote_id, answers={**ANSWERS["motor"], "use": "taxi", "annual_km": 20000})
    for quote_id in (own.quote_id, changed.quote_id):
        for decision in (APPROVE, DECLINE):
            assert refusal(decide, house, both, quote_id, decision, reason="x") == (
                "FOUR_EYES",
                {"by": both.user_id},
            )
        assert house.get(both, quote_id).state == pb.Quote.STATE_REFERRED


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rule_codes": ["other"]}, "INVALID_FIELD"),
        ({"loadings": [pb.Loading(coverage_code="theft", rate="0.1")]}, "INVALID_FIELD"),
        ({"loadings": [pb.Loading(rate="0.00")]}, "INVALID_FIELD"),
        ({"loadings": [pb.Loading(rate="1e3")]}, "INVALID_FIELD"),
        ({"loadings": [pb.Loading(rate="9.9999")] * 20}, "INVALID_FIELD"),
        ({"decision": DECLINE, "reason": "x", "loadings": [pb.Loading(rate="0.1")]}, "INVALID_FIELD"),
        ({"decision": DECLINE, "reason": "x", "conditions": ["A camera."]}, "INVALID_FIELD"),
        ({"decision": DECLINE}, "INVALID_FIELD"),
        ({"if_match": '"other"'}, "CONCURRENT_CHANGE"),
    ],
)
def test_decision_that_is_refused_changes_nothing(
    house: House, person: Person, underwriter: Person, fields: dict[str, Any], reason: str
) -> None:
    made = house.create(person, risk(use="taxi"))
    assert refusal(decide, house, underwriter, made.quote_id, **fields)[0] == reason
    assert house.get(person, made.quote_id) == made


def test_only_referred_quotes_are_decided_and_only_by_underwriters(
    house: House, people: People, person: Person, underwriter: Person
) -> None:
    quoted = house.create(person)
    assert refusal(decide, house, underwriter, quoted.quote_id) == ("QUOTE_STATE_INVALID", {"state": "quoted"})
    expired = house.past(person, 40, use="taxi")
    assert refusal(decide, house, underwriter, expired)[0] == "QUOTE_EXPIRED"
    referred = house.create(person, risk(use="taxi"))
    for other in (person, people.admin(), people.agent()):
        assert refusal(decide, house, other, referred.quote_id)[0] == "ACCESS_DENIED"
    for other in (person, people.agent()):
        assert refusal(queue, house, other)[0] == "ACCESS_DENIED"


def test_approval_stands_where_the_change_is_not_read_by_its_rules(
    house: House, person: Person, underwriter: Person
) -> None:
    made = house.create(person, risk(use="taxi"))
    decide(house, underwriter, made.quote_id, loadings=[pb.Loading(rate="0.5")])
    taxi = {**ANSWERS["motor"], "use": "taxi"}
    kept = house.update(person, made.quote_id, answers={**taxi, "annual_km": 9000})
    assert (kept.state, list(kept.approved_rule_codes)) == (pb.Quote.STATE_QUOTED, ["taxi"])
    assert "uw_loading" in [step.name for step in kept.steps]
    more = house.update(person, made.quote_id, answers={**taxi, "claims_5_years": 3, "claim_free_years": 0})
    assert (more.state, list(more.approved_rule_codes)) == (pb.Quote.STATE_REFERRED, ["taxi"])
    assert [entry.rule_codes for entry in queue(house, underwriter).referrals] == [["frequent_claims"]]
    private = house.update(person, made.quote_id, answers=ANSWERS["motor"])
    assert (private.state, list(private.approved_rule_codes)) == (pb.Quote.STATE_QUOTED, [])
    assert "uw_loading" not in [step.name for step in private.steps]
    assert house.update(person, made.quote_id, answers=taxi).state == pb.Quote.STATE_REFERRED


def test_queue_shows_the_oldest_first_and_what_is_asked_for(
    house: House, people: People, person: Person, underwriter: Person
) -> None:
    waiting = [house.create(person, risk(use="taxi")) for _ in range(3)]
    house.create(person)
    house.past(person, 40, use="taxi")
    first = queue(house, underwriter, page_size=2)
    second = queue(house, underwriter, page_size=2, page_token=first.next_page_token)
    assert [entry.quote for entry in (*first.referrals, *second.referrals)] == waiting
    assert second.next_page_token == ""
    # One that is changed and waits on keeps its place.
    house.update(person, waiting[0].quote_id, answers={**ANSWERS["motor"], "use": "taxi", "annual_km": 20000})
    entries = queue(house, underwriter).referrals
    assert [entry.quote.quote_id for entry in entries] == [quote.quote_id for quote in waiting]
    assert entries[0].refer_time.ToDatetime(UTC) <= entries[1].refer_time.ToDatetime(UTC)
    request = pb.AssignReferralRequest(quote_id=waiting[1].quote_id, user_id=underwriter.user_id)
    assert house.quotes.AssignReferral(request, metadata=underwriter.metadata()).assignee_user_id  # to oneself
    refused = refusal(house.quotes.AssignReferral, request, metadata=people.admin().metadata())
    assert refused == ("ROLE_MISSING", {"role": "underwriter"})
    house.underwriters.add(underwriter.user_id)
    assigned = house.quotes.AssignReferral(request, metadata=people.admin().metadata())
    assert assigned.assignee_user_id == underwriter.user_id
    assert list(queue(house, underwriter, assignee_user_id=underwriter.user_id).referrals) == [assigned]
    assert list(queue(house, underwriter, product_code="home").referrals) == []
    old = pb.ListReferralsRequest(product_code="motor")
    old.age.FromTimedelta(timedelta(hours=1))
    assert list(house.quotes.ListReferrals(old, metadata=underwriter.metadata()).referrals) == []


def test_customer_is_asked_and_answers(house: House, people: People, person: Person, underwriter: Person) -> None:
    made = house.create(person, risk(use="taxi"))
    assert refusal(answer, house, person, made.quote_id) == ("QUOTE_STATE_INVALID", {"state": "referred"})
    assert refusal(ask, house, underwriter, made.quote_id, hours=-1)[0] == "INVALID_FIELD"
    asked = ask(house, underwriter, made.quote_id)
    assert (asked.waiting_for_customer, asked.information_request) == (True, "Who drives?")
    assert house.get(person, made.quote_id) == asked
    assert refusal(answer, house, people.customer(), made.quote_id)[0] == "RESOURCE_NOT_FOUND"
    answered = answer(house, person, made.quote_id)
    assert (answered.state, answered.waiting_for_customer) == (pb.Quote.STATE_REFERRED, False)
    ((entry,),) = (queue(house, underwriter).referrals,)
    ((information,),) = (entry.information,)
    assert (information.question, information.answer) == ("Who drives?", "Nobody but me.")
    assert (information.ask_user_id, information.answer_user_id) == (underwriter.user_id, person.user_id)


def test_referral_of_a_program_that_kept_none_is_listed_and_decided(
    house: House, person: Person, underwriter: Person
) -> None:
    made = house.create(person, risk(use="taxi"))
    house.rows("DELETE FROM referrals RETURNING quote_id")
    assert [entry.quote for entry in queue(house, underwriter).referrals] == [made]
    assert decide(house, underwriter, made.quote_id).state == pb.Quote.STATE_QUOTED
    assert house.rows("SELECT verdict FROM referrals") == [("approve",)]


def test_unknown_quote_has_no_referral(house: House, underwriter: Person) -> None:
    assert refusal(decide, house, underwriter, ids.encode("quo", ids.new()))[0] == "RESOURCE_NOT_FOUND"
