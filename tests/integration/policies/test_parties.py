"""Who holds a policy, owes for it and serves it: given on by calls, and by what users says of a customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from bazaruto.policies.v1 import parties_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of
from libs.rpc import values
from services.policies.lifecycle.flows import transferring
from services.policies.lifecycle.flows.changing import TimelineNotWritten
from services.policies.lifecycle.rules.transaction import Transaction
from services.policies.lifecycle.servicer import parties
from tests.integration.policies.house import FakePayments, House
from tests.support.errors import reason_of, violations_of
from tests.support.people import People, Person, new_key

ZONE = "Africa/Maputo"


def party_of(person: Person) -> str:
    assert person.id
    return ids.encode("cus", person.id)


def known(house: House, *people: Person) -> None:
    """Let users know some people as customers."""
    house.users.customers.update(map(party_of, people))


def transfer(house: House, by: Person, policy_id: str, to: str, key: str = "", **fields: Any) -> pb.TransactionResult:
    request = parties_pb2.TransferPolicyRequest(policy_id=policy_id, customer_id=to, **fields)
    return house.stub.TransferPolicy(request, metadata=by.metadata(idempotency_key=key or new_key()))


def set_payer(house: House, by: Person, policy_id: str, payer: str, **fields: Any) -> pb.TransactionResult:
    request = parties_pb2.SetPayerRequest(policy_id=policy_id, payer_id=payer, **fields)
    return house.stub.SetPayer(request, metadata=by.metadata(idempotency_key=new_key()))


def changed(
    house: House, people: People, customer_id: str, version: int, partner: UUID | None, after: str = ""
) -> parties_pb2.PartyChangedResponse:
    request = parties_pb2.PartyChangedRequest(
        customer_id=customer_id,
        version=version,
        partner_id=ids.encode("par", partner) if partner else "",
        start_date=values.date_to_proto(day_of(clock.now(), ZONE)),
        after_policy_id=after,
    )
    return house.stub.PartyChanged(request, metadata=people.service("users-worker").metadata())


def refusal(call: Any, *args: Any, **fields: Any) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        call(*args, **fields)
    return reason_of(refused.value)


def bill(house: House) -> list[tuple[Any, Transaction]]:
    """What payments is told by the jobs that wait."""
    payments = FakePayments()
    payments.asked.append(("", ""))  # it is not away the first time
    worker, told = house.worker(payments), -1
    while len(payments.applied) > told:  # those of a policy wait for each other
        told = len(payments.applied)
        worker.run_due()
    return payments.applied


def acting_for(people: People, ana: Person, other: Person) -> Person:
    """The first of two, with a token by which they act for the other as well."""
    return people.user("customer", user_id=ana.id, parties=frozenset({other.id}))


def test_holder_gives_a_policy_to_another_party_of_theirs(house: House, people: People) -> None:
    ana, firm = people.customer(), people.customer()
    known(house, firm)
    policy_id = house.issue(ana).policy_id
    both, key = acting_for(people, ana, firm), new_key()
    preview = transfer(house, both, policy_id, party_of(firm), validate_only=True)
    assert (preview.policy.customer_id, preview.policy.payer_id) == (party_of(firm), party_of(firm))
    assert preview.transaction.transaction_id == ""
    assert not preview.billing_pending
    assert house.get(ana, policy_id).customer_id == party_of(ana)
    done = transfer(house, both, policy_id, party_of(firm), key)
    assert transfer(house, both, policy_id, party_of(firm), key) == done
    assert (done.transaction.type, done.transaction.reason) == (pb.PolicyTransaction.TYPE_SERVICING, "holder")
    assert house.get(firm, policy_id).customer_id == party_of(firm)
    assert refusal(house.get, ana, policy_id) == "RESOURCE_NOT_FOUND"
    assert refusal(house.get, ana, policy_id, known_time=datetime.now(UTC)) == "RESOURCE_NOT_FOUND"
    stack = house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=policy_id), metadata=firm.metadata()
    ).transactions
    assert [item.sequence for item in stack] == [1, 2]
    [(before, after)] = house.rows("SELECT before, after FROM audit_events WHERE action = 'policy_transferred'")
    assert (before["customer_id"], after["customer_id"]) == (party_of(ana), party_of(firm))  # type: ignore[index]
    assert house.get(firm, policy_id, known_time=done.transaction.issue_time.ToDatetime(UTC) - timedelta(0, 0, 1)) \
        .customer_id == party_of(ana), "who held it then is what is known of then"  # fmt: skip


def test_payments_hears_of_each_transaction_with_the_parties_of_its_time(house: House, people: People) -> None:
    ana, firm = people.customer(), people.customer()
    known(house, firm)
    policy_id = house.issue(ana).policy_id
    transfer(house, acting_for(people, ana, firm), policy_id, party_of(firm))
    told = bill(house)
    assert [(policy.user_id, policy.payer_id, item.billing_sequence) for policy, item in told] == [
        (ana.id, ana.id, 1),
        (firm.id, firm.id, 2),
    ]
    assert told[1][1].lines == ()


def test_who_does_not_act_for_both_says_how_they_agreed(house: House, people: People) -> None:
    partner = ids.new()
    ana, firm, agent = people.customer(), people.customer(), people.agent(partner)
    known(house, firm)
    house.users.partners[party_of(firm)] = partner
    policy_id = house.issue(ana, house.quotes.add(ana, partner_id=partner)).policy_id
    for caller in (agent, people.user("underwriter"), ana):
        with pytest.raises(grpc.RpcError) as refused:
            transfer(house, caller, policy_id, party_of(firm))
        assert list(violations_of(refused.value)) == ["consent"]
    assert refusal(transfer, house, people.agent(), policy_id, party_of(firm), consent="x") == "RESOURCE_NOT_FOUND"
    assert refusal(transfer, house, people.user("finance"), policy_id, party_of(firm)) == "ACCESS_DENIED"
    done = transfer(house, agent, policy_id, party_of(firm), consent="Contract of sale.")
    assert done.policy.partner_id == ids.encode("par", partner)
    assert house.rows("SELECT consent, reason FROM policy_parties") == [("Contract of sale.", "holder")]


def test_policy_is_served_by_the_partner_of_the_new_holder(house: House, people: People) -> None:
    partner, other = ids.new(), ids.new()
    ana, firm = people.customer(), people.customer()
    known(house, firm)
    house.users.partners[party_of(firm)] = other
    policy_id = house.issue(ana, house.quotes.add(ana, partner_id=partner)).policy_id
    transfer(house, people.user("underwriter"), policy_id, party_of(firm), consent="Contract of sale.")
    assert refusal(house.get, people.agent(partner), policy_id) == "RESOURCE_NOT_FOUND"
    assert house.get(people.agent(other), policy_id).customer_id == party_of(firm)


def test_transfer_that_cannot_be_changes_nothing(house: House, people: People) -> None:
    ana, firm = people.customer(), people.customer()
    known(house, firm, ana)
    policy_id, both = house.issue(ana).policy_id, acting_for(people, ana, firm)
    today = day_of(clock.now(), ZONE)
    for fields, reason in (
        ({"to": party_of(ana)}, "INVALID_FIELD"),
        (
            {"to": party_of(firm), "effective_date": values.date_to_proto(today + timedelta(1))},
            "EFFECTIVE_DATE_INVALID",
        ),
        (
            {"to": party_of(firm), "effective_date": values.date_to_proto(today - timedelta(9))},
            "EFFECTIVE_DATE_INVALID",
        ),
    ):
        assert refusal(transfer, house, both, policy_id, **fields) == reason
    assert refusal(transfer, house, both, policy_id, party_of(people.customer())) == "RESOURCE_NOT_FOUND"
    assert house.rows("SELECT count(*) FROM policy_transactions") == [(1,)]
    over = house.issue(ana, house.quotes.add(ana)).policy_id
    house.rows("UPDATE policies SET activated_at = now() RETURNING id")
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # the timeline is append-only
        connection.execute("UPDATE timelines SET ended_as = 'cancelled', ended_on = current_date - 1")
    assert refusal(transfer, house, both, over, party_of(firm)) == "POLICY_STATE_INVALID"
    assert refusal(set_payer, house, both, over, party_of(firm)) == "POLICY_STATE_INVALID"


def test_another_payer_owes_from_now_on(house: House, people: People) -> None:
    ana, firm = people.customer(), people.customer()
    known(house, firm)
    policy_id = house.issue(ana).policy_id
    assert refusal(set_payer, house, ana, policy_id, party_of(ana)) == "INVALID_FIELD"
    assert refusal(set_payer, house, firm, policy_id, party_of(firm)) == "RESOURCE_NOT_FOUND"
    assert set_payer(house, ana, policy_id, party_of(firm), validate_only=True).policy.payer_id == party_of(firm)
    done = set_payer(house, ana, policy_id, party_of(firm))
    assert (done.policy.payer_id, done.policy.customer_id) == (party_of(firm), party_of(ana))
    assert house.get(ana, policy_id).payer_id == party_of(firm)
    told = bill(house)
    assert [(item.reason, policy.payer_id) for policy, item in told] == [("", ana.id), ("payer", firm.id)]
    # A payer who is not the holder stays when the holder changes.
    eve = people.customer()
    known(house, eve)
    assert transfer(house, acting_for(people, ana, eve), policy_id, party_of(eve)).policy.payer_id == party_of(firm)


def test_policies_of_a_customer_follow_the_partner_in_steps(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parties, "_AT_ONCE", 2)
    partner, ana, other = ids.new(), people.customer(), people.customer()
    held = [house.issue(ana).policy_id for _ in range(3)]
    of_other = house.issue(other).policy_id
    first = changed(house, people, party_of(ana), 3, partner)
    assert (first.changed, first.next_policy_id) == (2, held[1])
    last = changed(house, people, party_of(ana), 3, partner, first.next_policy_id)
    assert (last.changed, last.next_policy_id) == (1, "")
    agent = people.agent(partner)
    assert {house.get(agent, policy_id).partner_id for policy_id in held} == {ids.encode("par", partner)}
    assert refusal(house.get, agent, of_other) == "RESOURCE_NOT_FOUND"
    assert changed(house, people, party_of(ana), 3, partner).changed == 0, "once more changes nothing"
    late = changed(house, people, party_of(ana), 2, ids.new())
    assert (late.changed, late.next_policy_id) == (0, ""), "what is older is ignored"
    changed(house, people, party_of(ana), 4, None)
    assert refusal(house.get, agent, held[2]) == "RESOURCE_NOT_FOUND"
    told = [(item.reason, policy.partner_id) for policy, item in bill(house) if ids.encode("pol", policy.id) == held[2]]
    assert told == [("", None), ("partner", partner), ("partner", None)]
    assert refusal(changed, house, people, "cus_x", 1, None) == "INVALID_FIELD"


def test_policy_of_before_waits_until_its_timeline_is_written(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = people.customer()
    house.issue(ana)

    def refuse(*_: Any) -> None:
        raise TimelineNotWritten

    monkeypatch.setattr(transferring, "decide", refuse)
    answer = changed(house, people, party_of(ana), 2, ids.new())
    assert (answer.changed, answer.waiting) == (0, 1)
