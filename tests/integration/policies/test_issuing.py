"""Issuing policies: for whom, for what, at which plan, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of
from libs.money import Money
from libs.premium import Premium
from tests.integration.policies.house import House
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person

PLATE = "AA-00-BB"
COUNTS = "SELECT (SELECT count(*) FROM policies), (SELECT count(*) FROM idempotency_keys)"


def refusal(call: Callable[[], object]) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return reason_of(refused.value), metadata_of(refused.value)


def issue_for(house: House, person: Person, plate: str = PLATE, allow: bool = False, **changes: Any) -> pb.Policy:
    return house.issue(person, house.quotes.add(person, plate=plate, **changes), allow_duplicate=allow)


def test_object_is_not_insured_twice_unless_it_is_wanted(house: House, people: People) -> None:
    owner, stranger = people.customer(), people.customer()
    first = issue_for(house, owner)
    assert refusal(lambda: issue_for(house, owner, "aa 00 bb")) == (
        "DUPLICATE_RISK", {"object": "vehicle_1", "policy_id": first.policy_id},
    )  # fmt: skip
    # Whose policy it is, is nobody else's business.
    assert refusal(lambda: issue_for(house, stranger)) == ("DUPLICATE_RISK", {"object": "vehicle_1"})
    assert issue_for(house, owner, allow=True).policy_number
    assert issue_for(house, owner, product_code="motorbike").policy_number
    assert house.rows("SELECT count(*) FROM policies") == [(3,)]


def test_object_whose_policy_was_not_taken_can_be_insured_anew(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = people.customer()
    issue_for(house, owner)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    assert issue_for(house, owner).policy_number


def test_object_can_be_insured_for_other_days(house: House, people: People) -> None:
    owner = people.customer()
    today = day_of(datetime.now(UTC), "Africa/Maputo")
    issue_for(house, owner, ends_on=today + timedelta(days=7))
    assert issue_for(house, owner, starts_on=today + timedelta(days=7)).policy_number


def test_of_two_who_insure_one_object_at_once_one_wins(house: House, people: People) -> None:
    owners = [people.customer() for _ in range(6)]

    def attempt(owner: Person) -> str:
        try:
            issue_for(house, owner)
        except grpc.RpcError as error:
            return reason_of(error)
        return "issued"

    with ThreadPoolExecutor(len(owners)) as pool:
        outcomes = list(pool.map(attempt, owners))
    assert sorted(outcomes) == ["DUPLICATE_RISK"] * 5 + ["issued"]


def test_preview_is_what_is_issued_and_stores_nothing(house: House, people: People) -> None:
    person = people.customer()
    request = pb.IssuePolicyRequest(quote_id=house.quotes.add(person), plan_code="monthly", validate_only=True)
    before = house.rows(COUNTS)
    preview = house.stub.IssuePolicy(request, metadata=person.metadata())
    assert house.rows(COUNTS) == before
    issued = house.issue(person, request.quote_id, plan_code="monthly")
    for message in (preview, issued):
        message.ClearField("issue_time")
    for name in ("policy_id", "policy_number", "etag"):
        assert not getattr(preview, name)
        issued.ClearField(name)
    assert preview == issued


def test_preview_is_refused_as_the_call_would_be(house: House, people: People) -> None:
    person = people.customer()
    issue_for(house, person)
    request = pb.IssuePolicyRequest(quote_id=house.quotes.add(person, plate=PLATE), validate_only=True)
    assert refusal(lambda: house.stub.IssuePolicy(request, metadata=person.metadata()))[0] == "DUPLICATE_RISK"


@pytest.mark.parametrize(
    "changes",
    [
        {"premium": Premium(Money(5, "EUR"), Money(1, "EUR"), Money(2500, "EUR")), "plans": {"annual": 12}},
        {"ends_on": day_of(datetime.now(UTC), "Africa/Maputo") + timedelta(days=60), "plans": {"annual": 4}},
    ],
    ids=["installments of nothing", "installments behind the end"],
)
def test_plan_that_does_not_fit_the_price_or_the_term_is_refused(
    house: House, people: People, changes: dict[str, Any]
) -> None:
    assert refusal(lambda: issue_for(house, people.customer(), **changes)) == (
        "PLAN_UNAFFORDABLE", {"plan": "annual", "installments": str(changes["plans"]["annual"])},
    )  # fmt: skip
    assert house.rows(COUNTS) == [(0, 0)]


def test_another_party_that_the_caller_may_read_can_owe_for_a_policy(house: House, people: People) -> None:
    person = people.customer()
    payer_id, unknown = ids.encode("cus", ids.new()), ids.encode("cus", ids.new())
    house.users.customers.add(payer_id)
    assert house.issue(person, payer_id=payer_id).payer_id == payer_id
    assert refusal(lambda: house.issue(person, payer_id=unknown))[0] == "RESOURCE_NOT_FOUND"


def test_policy_that_came_by_a_partner_is_issued_and_read_by_its_members(house: House, people: People) -> None:
    owner, partner = people.customer(), ids.new()
    agent, other_agent = people.agent(partner), people.agent()
    quote_id = house.quotes.add(owner, partner_id=partner)
    assert refusal(lambda: house.issue(other_agent, quote_id))[0] == "RESOURCE_NOT_FOUND"
    policy = house.issue(agent, quote_id)
    assert (policy.customer_id[4:], policy.partner_id) == (owner.user_id[4:], ids.encode("par", partner))
    for person in (owner, agent, people.user("underwriter"), people.user("adjuster"), people.user("finance")):
        assert house.get(person, policy.policy_id) == policy
    assert refusal(lambda: house.get(other_agent, policy.policy_id))[0] == "RESOURCE_NOT_FOUND"


def test_contract_that_was_not_paid_in_time_is_closed_and_owes_nothing(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, payments = people.customer(), people.service("payments-worker").metadata()
    issued = issue_for(house, owner)
    request = pb.CloseNotTakenRequest(
        policy_id=issued.policy_id, invoice_id=ids.encode("inv", ids.new()), term_number=1
    )
    assert refusal(lambda: house.stub.CloseNotTaken(request, metadata=payments)) == (
        "POLICY_STATE_INVALID", {"state": "pending"},
    )  # fmt: skip
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    for _ in range(2):
        closed = house.stub.CloseNotTaken(request, metadata=payments)
        assert closed.result == pb.CloseNotTakenResponse.RESULT_CLOSED
    stack = house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=issued.policy_id), metadata=owner.metadata()
    ).transactions
    assert [entry.type for entry in stack] == [
        pb.PolicyTransaction.TYPE_NEW_BUSINESS,
        pb.PolicyTransaction.TYPE_NOT_TAKEN,
    ]
    assert stack[0].change.total.units + stack[1].change.total.units == 0
    policy = house.get(owner, issued.policy_id)
    assert (policy.state, policy.term.premium.total.units) == (pb.Policy.STATE_NOT_TAKEN, 0)
    # A payment that comes now belongs to no contract.
    assert refusal(lambda: house.activate(issued.policy_id, people.service("payments-worker"))) == (
        "POLICY_STATE_INVALID", {"state": "not_taken"},
    )  # fmt: skip
    assert house.rows("SELECT count(*) FROM policy_objects") == [(0,)]


def test_contract_that_was_paid_is_not_closed(house: House, people: People) -> None:
    payments = people.service("payments-worker")
    policy_id = house.issue(people.customer()).policy_id
    house.activate(policy_id, payments)
    request = pb.CloseNotTakenRequest(policy_id=policy_id, invoice_id=ids.encode("inv", ids.new()), term_number=1)
    closed = house.stub.CloseNotTaken(request, metadata=payments.metadata())
    assert closed.result == pb.CloseNotTakenResponse.RESULT_NOT_NEEDED


def test_payment_of_a_term_that_there_is_not_is_refused(house: House, people: People) -> None:
    request = pb.ActivatePolicyRequest(
        policy_id=house.issue(people.customer()).policy_id, payment_id=ids.encode("pay", ids.new()), term_number=2
    )
    request.paid_time.FromDatetime(datetime.now(UTC))
    payments = people.service("payments-worker").metadata()
    assert refusal(lambda: house.stub.ActivatePolicy(request, metadata=payments))[0] == "POLICY_STATE_INVALID"
