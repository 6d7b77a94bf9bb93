"""Reading policies: whether they cover at a moment, what a transaction did, and finding them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.type import date_pb2

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of, start_of
from libs.rpc import values
from tests.integration.policies.house import House
from tests.support.errors import reason_of, violations_of
from tests.support.people import People, Person

ZONE = "Africa/Maputo"
Reason = pb.Cover


def cover(house: House, person: Person, policy_id: str, moment: datetime | None = None) -> pb.Cover:
    request = pb.GetCoverRequest(policy_id=policy_id)
    if moment:
        request.at_time.FromDatetime(moment)
    return house.stub.GetCover(request, metadata=person.metadata())


def found(house: House, person: Person, **filters: Any) -> set[str]:
    """The policies that a list shows, page by page."""
    numbers, token = [], ""
    while True:
        request = pb.ListPoliciesRequest(page_size=2, page_token=token, **filters)
        page = house.stub.ListPolicies(request, metadata=person.metadata())
        numbers += [policy.policy_number for policy in page.policies]
        if not (token := page.next_page_token):
            assert len(numbers) == len(set(numbers))
            return set(numbers)


def day(value: date) -> date_pb2.Date:
    return values.date_to_proto(value)


def test_cover_is_told_for_any_moment_with_the_reason_why_there_is_none(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    today = day_of(datetime.now(UTC), ZONE)
    first, last = today + timedelta(days=3), today + timedelta(days=365)
    policy_id = house.issue(person, house.quotes.add(person, starts_on=first, plate="AA-00-BB")).policy_id
    assert cover(house, person, policy_id).reason == Reason.REASON_UNPAID
    house.activate(policy_id, people.service("payments-worker"))
    inside = cover(house, person, policy_id, start_of(first, ZONE))
    assert (inside.in_force, inside.reason, inside.term_number) == (True, Reason.REASON_UNSPECIFIED, 1)
    assert [(item.coverage_code, item.limit.units) for item in inside.coverages] == [
        ("liability", 1_000_000), ("collision", 0),
    ]  # fmt: skip
    assert [item.identifier for item in inside.objects] == ["AA-00-BB"]
    for moment, reason in (
        (start_of(first, ZONE) - timedelta(seconds=1), Reason.REASON_NOT_BEGUN),
        (start_of(last, ZONE), Reason.REASON_EXPIRED),
    ):
        outside = cover(house, person, policy_id, moment)
        assert (outside.in_force, outside.reason, len(outside.coverages)) == (False, reason, 0)
    unpaid = house.issue(person).policy_id
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    assert cover(house, person, unpaid).reason == Reason.REASON_NOT_TAKEN


def test_cover_tells_until_which_day_the_premium_is_paid(house: House, people: People) -> None:
    person = people.customer()
    policy = house.issue(person)
    policy_id = ids.decode("pol", policy.policy_id)
    starts_on, ends_on = (values.date_from_proto(bound, "") for bound in (policy.term.start_date, policy.term.end_date))
    assert not cover(house, person, policy.policy_id).HasField("paid_until_date"), "payments does not say"
    for due_on, paid_until in (
        (starts_on - timedelta(days=3), starts_on),  # what falls due before cover begins pays for none of it
        (starts_on + timedelta(days=31), starts_on + timedelta(days=31)),
        (ends_on + timedelta(days=5), ends_on),
        (None, ends_on),
    ):
        house.payments.due[policy_id] = due_on
        told = cover(house, people.user("adjuster"), policy.policy_id)
        assert values.date_from_proto(told.paid_until_date, "") == paid_until


def test_cover_of_somebody_else_is_nobody_s_business(house: House, people: People) -> None:
    policy_id = house.issue(people.customer()).policy_id
    with pytest.raises(grpc.RpcError) as refused:
        cover(house, people.customer(), policy_id)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert cover(house, people.user("adjuster"), policy_id).reason == Reason.REASON_UNPAID


def test_transaction_tells_the_timeline_before_and_after_it(house: House, people: People) -> None:
    person = people.customer()
    policy = house.issue(person)
    house.activate(policy.policy_id, people.service("payments-worker"))
    listed = house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=policy.policy_id), metadata=person.metadata()
    ).transactions
    results = [
        house.stub.GetPolicyTransaction(
            pb.GetPolicyTransactionRequest(policy_id=policy.policy_id, transaction_id=entry.transaction_id),
            metadata=person.metadata(),
        )
        for entry in listed
    ]
    assert [result.transaction for result in results] == list(listed)
    issued, activated = results
    assert (list(issued.before), list(issued.after)) == ([], list(policy.term.segments))
    assert list(activated.before) == list(activated.after) == list(policy.term.segments)


def test_transaction_of_another_policy_is_not_found(house: House, people: People) -> None:
    person = people.customer()
    policy, other = house.issue(person), house.issue(person)
    (entry,) = house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=other.policy_id), metadata=person.metadata()
    ).transactions
    request = pb.GetPolicyTransactionRequest(policy_id=policy.policy_id, transaction_id=entry.transaction_id)
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.GetPolicyTransaction(request, metadata=person.metadata())
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


def test_policies_are_found_by_number_holder_partner_object_state_and_days(house: House, people: People) -> None:
    ana, rui, partner = people.customer(), people.customer(), ids.new()
    underwriter = people.user("underwriter")
    today = day_of(datetime.now(UTC), ZONE)
    soon = today + timedelta(days=30)
    first = house.issue(ana, house.quotes.add(ana, plate="AA-00-BB"))
    second = house.issue(ana, house.quotes.add(ana, starts_on=soon, partner_id=partner))
    third = house.issue(rui, house.quotes.add(rui, product_code="home"))
    house.activate(first.policy_id, people.service("payments-worker"))
    house.activate(second.policy_id, people.service("payments-worker"))
    one, two, three = (policy.policy_number for policy in (first, second, third))
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {one, two, three}),
        ({"policy_number": two}, {two}),
        ({"customer_id": first.customer_id}, {one, two}),
        ({"partner_id": ids.encode("par", partner)}, {two}),
        ({"product_code": "home"}, {three}),
        ({"object_identifier": "aa00bb"}, {one}),
        ({"object_identifier": "ZZ-99-ZZ"}, set()),
        ({"state": pb.Policy.STATE_IN_FORCE}, {one}),
        ({"state": pb.Policy.STATE_SCHEDULED}, {two}),
        ({"state": pb.Policy.STATE_PENDING}, {three}),
        ({"state": pb.Policy.STATE_PENDING, "product_code": "motor"}, set()),
        ({"start_from_date": day(soon)}, {two}),
        ({"start_before_date": day(soon)}, {one, three}),
        ({"end_from_date": day(today + timedelta(days=365)), "end_before_date": day(date.max)}, {one, two, three}),
        ({"end_before_date": day(soon)}, set()),
    ]  # fmt: skip
    for filters, numbers in cases:
        assert found(house, underwriter, **filters) == numbers, filters
    assert found(house, ana) == {one, two}
    assert found(house, rui, policy_number=one) == set()
    assert found(house, people.agent(partner)) == {two}


@pytest.mark.parametrize(
    ("field", "wrong"), [("object_identifier", "%"), ("start_from_date", date_pb2.Date(year=2026, month=2, day=30))]
)
def test_filter_that_holds_no_identifier_or_no_day_is_named(
    house: House, people: People, field: str, wrong: Any
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        found(house, people.user("underwriter"), **{field: wrong})
    assert list(violations_of(refused.value)) == [field]
