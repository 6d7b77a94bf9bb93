"""Next terms of policies: offered and begun by themselves, asked for, decided against, and not paid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2
from bazaruto.policies.v1 import renewal_pb2 as pb
from libs import ids
from libs.calendar import day_of, start_of
from libs.jobs import nightly
from libs.jobs.nightly import Alone, Night, Run
from libs.rpc import values
from services.policies.lifecycle.flows import renewing
from services.policies.lifecycle.jobs import Renewals
from services.policies.lifecycle.kinds import OFFER_RENEWALS
from services.policies.lifecycle.rules.product import CancellationRule, RenewalRule
from services.policies.lifecycle.rules.returns import Method, Return
from tests.integration.policies.house import RULES, House
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key

ZONE = "Africa/Maputo"
DAYS = 30
"""The first term is so short that its next one is due at once."""
NONE, AUTO = pb.RENEWAL_PREFERENCE_NONE, pb.RENEWAL_PREFERENCE_AUTO
RENEWED, OFFERED, DO_NOT_RENEW = (
    policy_pb2.Policy.FLAG_RENEWED,
    policy_pb2.Policy.FLAG_RENEWAL_OFFERED,
    policy_pb2.Policy.FLAG_DO_NOT_RENEW,
)


@pytest.fixture
def person(people: People) -> Person:
    return people.customer()


def sell(house: House, people: People, person: Person, **rule: Any) -> policy_pb2.Policy:
    """A paid policy of a product with a rule of renewal; it ends in thirty days."""
    terms = {"offer_days": 45, "is_automatic": True, "covers_in_grace": False, "late_days": 10, **rule}
    refusal = CancellationRule("insurer", frozenset({"underwriter"}), Return(Method.PRO_RATA), notice_days=10)
    rules = replace(RULES, renewal=RenewalRule(**terms), cancellations=(refusal,))
    house.quotes.rules = {version: replace(rules, version=version) for version in (1, 2)}
    today = day_of(datetime.now(UTC), ZONE)
    quote_id = house.quotes.add(person, ends_on=today + timedelta(days=DAYS))
    issued = house.issue(person, quote_id)
    return house.activate(issued.policy_id, people.service("payments-worker"))


def ends_on(policy: policy_pb2.Policy) -> date:
    return values.date_from_proto(policy.term.end_date, "end_date")


def at(day: date, hour: int = 12) -> datetime:
    return start_of(day, ZONE) + timedelta(hours=hour)


def work(house: House, day: date | None = None, hour: int = 3) -> None:
    """What the two nightly runs do on a day."""
    now = at(day or day_of(datetime.now(UTC), ZONE), hour)
    night, runs = Night(now.date().isoformat(), now, now), Renewals(house.database, house.quotes)
    for list_due, do in ((runs.list_to_offer, runs.offer), (runs.list_to_renew, runs.renew)):
        after = ids.decode("pol", "pol_00000000000000000000000000")
        while True:
            with house.database.reading(fresh=True) as session:
                found = list_due(session, night, after, 1)
            if not found:
                break
            do(found[0], night)
            after = found[0]


def transactions(house: House, policy_id: str) -> list[tuple[object, ...]]:
    query = "SELECT type, term_number, premium_change FROM policy_transactions WHERE policy_id = '{}' ORDER BY sequence"
    return house.rows(query.format(ids.decode("pol", policy_id)))


def quote(house: House, who: Person, policy_id: str, **fields: Any) -> pb.RenewalOffer:
    request = pb.QuoteRenewalRequest(policy_id=policy_id, **fields)
    return house.renewals.QuoteRenewal(request, metadata=who.metadata(idempotency_key=new_key()))


def renew(house: House, who: Person, policy_id: str, quote_id: str, **fields: Any) -> policy_pb2.TransactionResult:
    request = pb.RenewPolicyRequest(policy_id=policy_id, quote_id=quote_id, **fields)
    return house.renewals.RenewPolicy(request, metadata=who.metadata(idempotency_key=new_key()))


def prefer(
    house: House, who: Person, policy_id: str, preference: Any, reason: str = "", **more: str
) -> pb.RenewalSetting:
    request = pb.SetRenewalPreferenceRequest(policy_id=policy_id, preference=preference, reason=reason)
    return house.renewals.SetRenewalPreference(request, metadata=who.metadata(**more))


def refusal(call: Any, *args: Any, **fields: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as refused:
        call(*args, **fields)
    return reason_of(refused.value), metadata_of(refused.value)


def accept(house: House, offer: pb.RenewalOffer) -> str:
    house.quotes.quotes[offer.quote_id] = replace(house.quotes.quotes[offer.quote_id], state="accepted")
    return offer.quote_id


def test_policy_is_offered_its_next_term_and_renewed_by_itself(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    work(house)
    work(house)
    shown = house.get(person, policy.policy_id)
    assert list(shown.flags) == [OFFERED]
    assert house.rows("SELECT count(*) FROM audit_events WHERE action = 'renewal_offered'") == [(1,)]
    assert house.quotes.priced_by == {ids.decode("pol", policy.policy_id): ids.decode("quo", policy.quote_id)}
    assert len(transactions(house, policy.policy_id)) == 2
    due = ends_on(policy) - timedelta(days=7)
    work(house, due - timedelta(days=1))
    assert len(transactions(house, policy.policy_id)) == 2
    work(house, due)
    work(house, due)
    stack = transactions(house, policy.policy_id)
    assert stack[2:] == [("renewal", 2, 130000)]
    shown = house.get(person, policy.policy_id)
    assert (list(shown.flags), shown.term.term_number, shown.policy_number) == ([RENEWED], 1, policy.policy_number)
    waiting = house.get(person, policy.policy_id, effective_time=at(ends_on(policy)))
    assert (waiting.state, waiting.term.term_number) == (policy_pb2.Policy.STATE_EXPIRED, 2)
    service = people.service("payments-worker")
    request = policy_pb2.ActivatePolicyRequest(
        policy_id=policy.policy_id, payment_id=ids.encode("pay", ids.new()), term_number=2
    )
    request.paid_time.FromDatetime(datetime.now(UTC))
    house.stub.ActivatePolicy(request, metadata=service.metadata())
    second = house.get(person, policy.policy_id, effective_time=at(ends_on(policy)))
    assert (second.state, second.product_version) == (policy_pb2.Policy.STATE_IN_FORCE, 2)
    assert second.term.segments[0].answers["driver_age"] == 35
    assert values.money_from_proto(second.term.premium.total).minor == 154600


def test_payments_and_quotes_are_told_of_a_next_term(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    house.payments.asked.append(("", ""))  # it is there from the first time on
    quote_id = accept(house, quote(house, person, policy.policy_id))
    unaffordable = refusal(renew, house, person, policy.policy_id, quote_id, plan_code="quarterly")
    assert unaffordable == ("PLAN_UNAFFORDABLE", {"plan": "quarterly", "installments": "4"})
    renew(house, person, policy.policy_id, quote_id, plan_code="direct")
    for _ in range(2):  # those of one policy are told one after the other
        house.worker(house.payments).run_due()
    told = house.payments.sent[-1]
    assert (told.term_number, told.schedule.plan_code, told.schedule.installments) == (2, "direct", 1)
    until = at(ends_on(policy) + timedelta(days=1), 0)
    assert values.time_from_proto(told.first_payable_until_time) == until
    assert len(house.quotes.bound) == 2


def test_offer_is_made_anew_when_the_policy_changed(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    work(house)
    with house.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE renewals SET timeline_sequence = 1")
    work(house, ends_on(policy) - timedelta(days=7))
    assert house.rows("SELECT timeline_sequence FROM renewals") == [(2,)]
    assert house.rows("SELECT count(*) FROM audit_events WHERE action = 'renewal_offered'") == [(2,)]


def test_next_term_of_a_policy_that_is_not_renewed_by_itself_waits_for_its_holder(
    house: House, people: People, person: Person
) -> None:
    policy = sell(house, people, person, is_automatic=False)
    work(house)
    due = ends_on(policy) - timedelta(days=7)
    work(house, due)
    assert len(transactions(house, policy.policy_id)) == 2
    (quote_id,) = house.quotes.offered.values()
    house.quotes.quotes[quote_id] = replace(house.quotes.quotes[quote_id], state="accepted")
    work(house, due)
    assert transactions(house, policy.policy_id)[2:] == [("renewal", 2, 130000)]


def test_renewal_says_beforehand_what_it_does(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person, covers_in_grace=True)
    offer = quote(house, person, policy.policy_id)
    assert (offer.term_number, offer.state, offer.product_version) == (2, pb.RenewalOffer.STATE_QUOTED, 2)
    not_accepted = refusal(renew, house, person, policy.policy_id, offer.quote_id)
    assert not_accepted == ("QUOTE_NOT_ACCEPTED", {"state": "quoted"})
    accept(house, offer)
    preview = renew(house, person, policy.policy_id, offer.quote_id, validate_only=True)
    assert len(transactions(house, policy.policy_id)) == 2
    done = renew(house, person, policy.policy_id, offer.quote_id)
    assert (preview.change, preview.before, preview.after) == (done.change, done.before, done.after)
    assert refusal(renew, house, person, policy.policy_id, offer.quote_id)[0] == "TERM_EXISTS"
    assert refusal(quote, house, person, policy.policy_id) == ("TERM_EXISTS", {"term_number": "2"})
    second = house.get(person, policy.policy_id, effective_time=at(ends_on(policy)))
    assert second.state == policy_pb2.Policy.STATE_IN_FORCE


def test_stranger_sees_no_policy_to_renew(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    for call, *args in ((quote,), (prefer, NONE)):
        assert refusal(call, house, people.customer(), policy.policy_id, *args)[0] == "RESOURCE_NOT_FOUND"


def test_holder_decides_against_a_next_term_and_for_it(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    work(house)
    setting = prefer(house, person, policy.policy_id, NONE, "The car is sold.", if_match='"0"')
    assert (setting.preference, setting.by_insurer, setting.reason) == (NONE, False, "The car is sold.")
    assert refusal(prefer, house, person, policy.policy_id, AUTO, if_match='"0"')[0] == "CONCURRENT_CHANGE"
    assert list(house.get(person, policy.policy_id).flags) == [DO_NOT_RENEW]
    assert refusal(quote, house, person, policy.policy_id) == ("DO_NOT_RENEW", {"by": "holder"})
    work(house, ends_on(policy) - timedelta(days=1))
    assert len(transactions(house, policy.policy_id)) == 2
    prefer(house, person, policy.policy_id, AUTO)
    assert list(house.get(person, policy.policy_id).flags) == [OFFERED]
    work(house, ends_on(policy) - timedelta(days=1))
    assert len(transactions(house, policy.policy_id)) == 3


def test_insurer_refuses_a_next_term_with_a_reason_and_nobody_else_allows_it(
    house: House, people: People, person: Person
) -> None:
    policy, underwriter = sell(house, people, person), people.user("underwriter")
    assert refusal(prefer, house, underwriter, policy.policy_id, NONE)[0] == "INVALID_FIELD"
    assert prefer(house, underwriter, policy.policy_id, NONE, "Too many losses.").by_insurer
    assert refusal(prefer, house, person, policy.policy_id, AUTO) == ("DO_NOT_RENEW", {"by": "insurer"})
    assert prefer(house, underwriter, policy.policy_id, AUTO).preference == AUTO
    assert house.rows("SELECT count(*) FROM audit_events WHERE action = 'renewal_preference_set'") == [(2,)]


def test_next_term_that_was_not_paid_is_closed_once(house: House, people: People, person: Person) -> None:
    policy = sell(house, people, person)
    work(house)
    work(house, ends_on(policy) - timedelta(days=7))
    begins = policy_pb2.ListPoliciesRequest(start_from_date=policy.term.end_date)
    assert len(house.stub.ListPolicies(begins, metadata=person.metadata()).policies) == 1
    asked = policy_pb2.GetCoverRequest(policy_id=policy.policy_id, at_time=values.time_to_proto(at(ends_on(policy))))
    cover = house.stub.GetCover(asked, metadata=person.metadata())
    assert (cover.in_force, cover.reason) == (False, policy_pb2.Cover.REASON_UNPAID)
    service, invoice_id = people.service("payments-worker"), ids.encode("inv", ids.new())
    request = policy_pb2.CloseNotTakenRequest(policy_id=policy.policy_id, invoice_id=invoice_id, term_number=2)
    early = refusal(house.stub.CloseNotTaken, request, metadata=service.metadata())
    assert early[0] == "POLICY_STATE_INVALID"
    policy_id, late = ids.decode("pol", policy.policy_id), at(ends_on(policy) + timedelta(days=1))
    for _ in range(2):
        with house.database.transaction() as session:
            assert renewing.close_not_taken(session, policy_id, 2, invoice_id, house.quotes.rules, "service:x", late)
    assert transactions(house, policy.policy_id)[3:] == [("not_taken", 2, -130000)]
    over = house.get(person, policy.policy_id, effective_time=late)
    assert (over.state, over.term.term_number) == (policy_pb2.Policy.STATE_EXPIRED, 1)
    assert list(house.stub.ListPolicies(begins, metadata=person.metadata()).policies) == []
    again = house.stub.CloseNotTaken(request, metadata=service.metadata())
    assert again.result == policy_pb2.CloseNotTakenResponse.RESULT_CLOSED


def test_policy_that_cannot_be_offered_is_parked_and_the_others_are_offered(house: House, people: People) -> None:
    sold = [sell(house, people, people.customer()) for _ in range(3)]
    bad = ids.decode("pol", sold[1].policy_id)
    house.quotes.broken.add(bad)
    runs = Renewals(house.database, house.quotes)
    run = Run(OFFER_RENEWALS, runs.list_to_offer, runs.count_to_offer, Alone(runs.offer), batch=2)
    now = datetime.combine(datetime.now(UTC).date(), time(2, 10), UTC) + timedelta(days=1)
    night = Night(f"{now:%Y-%m-%d}", now, now)
    nightly.carry_out(house.database, run, nightly.Occurrence(int(now.timestamp())), night)
    offered = {policy_id for (policy_id,) in house.rows("SELECT policy_id FROM renewals")}
    assert offered == {ids.decode("pol", policy.policy_id) for policy in sold} - {bad}
    ((item_id, reason),) = house.rows("SELECT item_id, reason FROM parked_items")
    assert (item_id, "INVALID_FIELD" in str(reason)) == (bad, True)
    assert house.rows("SELECT expected, done FROM nightly_runs") == [(3, 2)]
