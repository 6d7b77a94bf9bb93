"""Quotes for changes and next terms of policies, on a real server and a real database."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import grpc
import pytest

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.identity.authority import Authority
from libs.premium import Coverage
from libs.rpc import values
from services.quotes.rating.rules.pricing import Risk
from tests.integration.quotes.conftest import House, coverage, risk
from tests.integration.quotes.test_quote_states import bind
from tests.integration.quotes.test_referrals import decide, deductible, refusal
from tests.support.people import People, Person, new_key
from tests.unit.quotes import sold
from tests.unit.quotes.samples import ANSWERS, tariff

START = date(2027, 1, 1)


def segment(
    first: int, last: int, unchanged: bool = False, quote_id: str = "", **answers: Any
) -> pb.PolicyQuoteSegment:
    """Days of a term from one to another, with some other answers."""
    message = pb.PolicyQuoteSegment(
        start_date=values.date_to_proto(START + timedelta(days=first)),
        end_date=values.date_to_proto(START + timedelta(days=last)),
        coverages=[coverage("theft")],
        unchanged=unchanged,
    )
    message.answers.update({**ANSWERS["motor"], **answers})
    return message


def net(**answers: Any) -> int:
    """What the whole term costs with some other answers, in cents."""
    asked = Risk({**ANSWERS["motor"], **answers}, [Coverage("theft")])
    return tariff("motor").price_from(asked, START).price.net


def quote(house: House, who: Person, owner: Person, *segments: pb.PolicyQuoteSegment, **fields: Any) -> pb.Quote:
    key = fields.pop("idempotency_key", new_key())
    given = {
        "kind": pb.Quote.KIND_ENDORSEMENT,
        "policy_id": ids.encode("pol", ids.new()),
        "timeline_sequence": 3,
        "product_code": "motor",
        "product_version": 1,
        "customer_id": owner.user_id.replace("usr", "cus"),
        **({"segments": segments} if segments else {}),
    }
    request = pb.CreatePolicyQuoteRequest(**{**given, **fields})
    return house.quotes.CreatePolicyQuote(request, metadata=who.metadata(idempotency_key=key))


def test_every_segment_is_priced_as_if_the_whole_term_were_like_it(
    house: House, person: Person, policies: Person
) -> None:
    key, policy_id = new_key(), ids.encode("pol", ids.new())
    segments = [segment(0, 100, unchanged=True), segment(100, 365, engine_power=150)]
    made = quote(house, policies, person, *segments, policy_id=policy_id, idempotency_key=key)
    assert quote(house, policies, person, *segments, policy_id=policy_id, idempotency_key=key) == made
    assert (made.state, made.kind) == (pb.Quote.STATE_QUOTED, pb.Quote.KIND_ENDORSEMENT)
    assert (made.policy_id, made.timeline_sequence) == (policy_id, 3)
    assert made.customer_id == person.user_id.replace("usr", "cus")
    first, second = made.segments
    assert values.money_from_proto(first.premium.net).minor == net()
    assert values.money_from_proto(second.premium.net).minor == net(engine_power=150) > net()
    assert (first.premium.lines[0].start_date, first.premium.lines[0].end_date) == (first.start_date, first.end_date)
    assert (made.start_date, made.end_date) == (first.start_date, second.end_date)
    assert made.premium.total == second.premium.total
    assert house.get(person, made.quote_id) == made
    (listed,) = house.listed(person, kind=pb.Quote.KIND_ENDORSEMENT, policy_id=policy_id)
    assert list(listed.segments) == []
    assert listed.quote_id == made.quote_id


@pytest.mark.parametrize(("unchanged", "state"), [(True, pb.Quote.STATE_QUOTED), (False, pb.Quote.STATE_REFERRED)])
def test_rules_decide_on_what_changes(
    house: House, person: Person, policies: Person, unchanged: bool, state: pb.Quote.State.ValueType
) -> None:
    made = quote(house, policies, person, segment(0, 10, unchanged, use="taxi"), segment(10, 365))
    assert made.state == state


def test_declined_change_shows_no_price(house: House, person: Person, policies: Person) -> None:
    made = quote(house, policies, person, segment(0, 10), segment(10, 365, driver_age=17))
    assert made.state == pb.Quote.STATE_DECLINED
    assert not any(part.HasField("premium") for part in (made, *made.segments))


def test_referred_change_is_approved_with_loadings_on_its_segments_and_bound(
    house: House, people: People, person: Person, policies: Person
) -> None:
    underwriter = people.user("underwriter", authority=Authority(underwriting_level=9))
    made = quote(house, policies, person, segment(0, 10, unchanged=True), segment(10, 365, use="taxi"))
    approved = decide(house, underwriter, made.quote_id, loadings=[pb.Loading(rate="1")])
    assert approved.segments[0] == made.segments[0]
    nets = [values.money_from_proto(part.segments[1].premium.net).minor for part in (made, approved)]
    assert nets[1] == 2 * nets[0]
    assert approved.premium.total == approved.segments[1].premium.total
    assert house.get(person, made.quote_id) == approved
    assert house.accept(person, made.quote_id).state == pb.Quote.STATE_ACCEPTED
    assert refusal(bind, house, policies, made.quote_id)[0] == "POLICY_ALREADY_ISSUED"
    bound = bind(house, policies, made.quote_id, made.policy_id, transaction_id=ids.encode("ptx", ids.new()))
    assert (bound.state, list(bound.segments)) == (pb.Quote.STATE_BOUND, list(approved.segments))


def test_deductible_is_set_for_a_next_term_and_not_for_a_change(
    house: House, people: People, person: Person, policies: Person
) -> None:
    underwriter = people.user("underwriter", authority=Authority(underwriting_level=9))
    taxi = segment(0, 365, use="taxi")
    higher = deductible("theft", 1000)
    change = quote(house, policies, person, taxi)
    assert refusal(decide, house, underwriter, change.quote_id, deductibles=[higher])[0] == "INVALID_FIELD"
    renewal = quote(house, policies, person, taxi, kind=pb.Quote.KIND_RENEWAL)
    approved = decide(house, underwriter, renewal.quote_id, deductibles=[higher])
    taxi.coverages[0].deductible.CopyFrom(higher.amount)
    as_asked = quote(house, policies, person, taxi, kind=pb.Quote.KIND_RENEWAL)
    assert list(approved.segments) == list(as_asked.segments) != list(renewal.segments)
    assert (approved.premium, list(approved.coverages)) == (as_asked.premium, list(as_asked.coverages))


class Desk:
    """A policy that an underwriter took for half as much again, whose changes are quoted."""

    def __init__(self, house: House, people: People, person: Person, policies: Person) -> None:
        self.house, self._person, self._policies = house, person, policies
        self.underwriter = people.user("underwriter", authority=Authority(underwriting_level=9))
        made = house.create(person, risk(use="taxi"))
        self.first = self.decide(made, "0.5", conditions=["No race."])

    def decide(self, made: pb.Quote, rate: str, **fields: Any) -> pb.Quote:
        return decide(self.house, self.underwriter, made.quote_id, loadings=[pb.Loading(rate=rate)], **fields)

    def change(self, quote_id: str, kind: Any = pb.Quote.KIND_ENDORSEMENT, **answers: Any) -> pb.Quote:
        part = pb.PolicyQuoteSegment(
            start_date=values.date_to_proto(START),
            end_date=values.date_to_proto(START + timedelta(days=365)),
            objects=self.first.objects,
            coverages=self.first.coverages,
            quote_id=quote_id,
        )
        part.answers.update({**dict(self.first.answers.items()), **answers})
        version = self.first.product_version
        return quote(self.house, self._policies, self._person, part, kind=kind, product_version=version)


@pytest.fixture
def desk(house: House, people: People, person: Person, policies: Person) -> Desk:
    return Desk(house, people, person, policies)


def net_of(made: pb.Quote) -> int:
    return values.money_from_proto(made.segments[0].premium.net).minor


@pytest.mark.parametrize("kind", [pb.Quote.KIND_ENDORSEMENT, pb.Quote.KIND_RENEWAL])
def test_what_an_underwriter_approved_stands_with_its_loading_where_its_rule_reads_no_change(
    desk: Desk, person: Person, kind: Any
) -> None:
    made = desk.change(desk.first.quote_id, kind, annual_km=9000)
    assert (made.state, list(made.approved_rule_codes)) == (pb.Quote.STATE_QUOTED, ["taxi"])
    assert net_of(made) == round(Fraction(3, 2) * net_of(desk.change("", kind, annual_km=9000)))
    assert ([loading.rate for loading in made.loadings], list(made.conditions)) == (["0.5"], ["No race."])
    assert desk.house.get(person, made.quote_id) == made
    # And on to what changes next, until the reason is gone.
    after = desk.change(made.quote_id, kind)
    assert net_of(after) == round(Fraction(3, 2) * net_of(desk.change("", kind)))
    private = desk.change(made.quote_id, kind, use="private")
    assert (private.state, list(private.loadings)) == (pb.Quote.STATE_QUOTED, [])
    assert net_of(private) == net_of(desk.change("", kind, use="private"))


def test_other_answer_that_an_approved_rule_reads_is_referred_anew_and_decided_on_top_of_the_others(
    desk: Desk,
) -> None:
    claims = {"claims_5_years": 3, "claim_free_years": 0}
    made = desk.change(desk.first.quote_id, **claims)
    assert (made.state, list(made.approved_rule_codes)) == (pb.Quote.STATE_REFERRED, ["taxi"])
    approved = desk.decide(made, "1")
    assert net_of(approved) == 2 * net_of(made)
    assert [loading.rate for loading in approved.loadings] == ["0.5", "1"]
    assert set(approved.approved_rule_codes) == {"taxi", "frequent_claims"}
    more = desk.change(approved.quote_id, **{**claims, "claims_5_years": 4})
    assert (more.state, list(more.approved_rule_codes)) == (pb.Quote.STATE_REFERRED, ["taxi"])


def test_quote_for_a_policy_is_neither_changed_nor_dated_anew_nor_cloned(
    house: House, person: Person, policies: Person
) -> None:
    made = quote(house, policies, person, segment(0, 365))
    invalid = ("QUOTE_STATE_INVALID", {"state": "quoted"})
    assert refusal(house.update, person, made.quote_id, answers=ANSWERS["motor"]) == invalid
    other_day = values.date_to_proto(START + timedelta(days=1))
    assert refusal(house.accept, person, made.quote_id, start_date=other_day)[0] == "INVALID_FIELD"
    withdrawn = house.withdraw(person, made.quote_id)
    assert refusal(house.clone, person, withdrawn.quote_id)[0] == "QUOTE_STATE_INVALID"


def test_price_of_a_next_term_is_good_until_the_term_begins(house: House, person: Person, policies: Person) -> None:
    far = segment(400, 765)
    made = quote(house, policies, person, far, kind=pb.Quote.KIND_RENEWAL)
    assert made.kind == pb.Quote.KIND_RENEWAL
    assert made.valid_until_time.ToDatetime().date() >= START + timedelta(days=399)


def next_term(product_code: str, version: int, answers: dict[str, Any], objects: Any = ()) -> dict[str, Any]:
    """What a quote for the next term of a policy with a version is asked with."""
    part = pb.PolicyQuoteSegment(
        start_date=values.date_to_proto(START),
        end_date=values.date_to_proto(START + timedelta(days=365)),
        objects=[values.insured_object_to_proto(item) for item in objects],
    )
    part.answers.update(answers)
    kind = {"kind": pb.Quote.KIND_RENEWAL, "with_successor": True}
    return {"product_code": product_code, "product_version": version, "segments": [part], **kind}


def test_next_term_takes_the_version_that_follows_and_its_fees(house: House, person: Person, policies: Person) -> None:
    made = quote(house, policies, person, **next_term("motor", 2, sold.ANSWERS["motor"], sold.OBJECTS["motor"]))
    assert (made.state, made.product_version) == (pb.Quote.STATE_QUOTED, 2)
    assert (values.date_from_proto(made.end_date, "") - START).days == 365
    assert made.premium.lines[-1].charge_code == "policy_fee"


def test_next_term_is_a_draft_where_its_version_asks_more_than_is_known(
    house: House, person: Person, policies: Person
) -> None:
    made = quote(house, policies, person, **next_term("motor", 1, ANSWERS["motor"]))
    assert (made.state, made.kind) == (pb.Quote.STATE_DRAFT, pb.Quote.KIND_RENEWAL)
    assert (made.product_version, made.HasField("premium")) == (2, False)
    assert "driver_age" not in made.answers  # version 2 asks it no more
    assert made.start_date == values.date_to_proto(START)
    assert refusal(house.accept, person, made.quote_id)[0] == "QUOTE_STATE_INVALID"
    assert house.get(person, made.quote_id) == made


@pytest.mark.parametrize(
    ("segments", "fields", "reason"),
    [
        ([segment(0, 365)], {"with_successor": True}, "INVALID_FIELD"),
        ([segment(0, 10), segment(9, 365)], {}, "INVALID_FIELD"),
        ([segment(10, 10)], {}, "INVALID_FIELD"),
        ([segment(0, 365, driver_age=5)], {}, "ANSWER_INVALID"),
        ([segment(0, 365)], {"product_version": 99}, "PRODUCT_NOT_AVAILABLE"),
        ([segment(0, 365)], {"kind": pb.Quote.KIND_NEW_BUSINESS}, "INVALID_FIELD"),
        ([segment(0, 365)], {"timeline_sequence": 0}, "INVALID_FIELD"),
        ([], {}, "INVALID_FIELD"),
    ],
)
def test_what_cannot_be_priced_is_refused_and_nothing_is_kept(
    house: House,
    person: Person,
    policies: Person,
    segments: list[pb.PolicyQuoteSegment],
    fields: dict[str, Any],
    reason: str,
) -> None:
    assert refusal(quote, house, policies, person, *segments, **fields)[0] == reason
    assert house.rows("SELECT count(*) FROM quotes") == [(0,)]


def test_only_policies_quotes_for_policies(house: House, people: People, person: Person) -> None:
    for who in (person, people.admin(), people.service("payments")):
        with pytest.raises(grpc.RpcError):
            quote(house, who, person, segment(0, 365))


def test_change_goes_on_in_later_terms_with_their_versions(house: House, person: Person, policies: Person) -> None:
    second = segment(365, 730, engine_power=150)
    second.product_version = 1
    second.term_start_date.CopyFrom(second.start_date)
    made = quote(house, policies, person, segment(0, 10, unchanged=True), segment(10, 365, engine_power=150), second)
    nets = [values.money_from_proto(part.premium.net).minor for part in made.segments]
    assert nets == [net(), net(engine_power=150), net(engine_power=150)]
    second.product_version = 99
    assert refusal(quote, house, policies, person, segment(0, 365), second)[0] == "PRODUCT_NOT_AVAILABLE"


def test_change_cannot_make_its_term_longer(house: House, person: Person, policies: Person) -> None:
    trip = pb.PolicyQuoteSegment(
        start_date=values.date_to_proto(START), end_date=values.date_to_proto(START + timedelta(days=10))
    )
    trip.coverages.add(coverage_code="medical")
    trip.answers.update({**ANSWERS["travel"], "trip_days": 10})
    assert quote(house, policies, person, trip, product_code="travel").state == pb.Quote.STATE_QUOTED
    trip.answers.update({"trip_days": 11})
    refused = refusal(quote, house, policies, person, trip, product_code="travel")
    assert refused == ("ANSWER_INVALID", {"question": "trip_days"})
