"""Beneficiaries: set all at once, whole, and with their history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest

from bazaruto.policies.v1 import beneficiary_pb2 as pb
from libs import clock, ids
from tests.integration.policies.house import House
from tests.support.errors import metadata_of, reason_of, violations_of
from tests.support.people import People, Person, new_key


def some(*shares: int) -> list[pb.Beneficiary]:
    return [pb.Beneficiary(name=f"Person {share}", relationship="child", share_basis_points=share) for share in shares]


def name(house: House, person: Person, policy_id: str, *shares: int, **metadata: str) -> pb.Beneficiaries:
    request = pb.SetBeneficiariesRequest(policy_id=policy_id, beneficiaries=some(*shares))
    return house.stub.SetBeneficiaries(request, metadata=person.metadata(**metadata))


def listed(house: House, person: Person, policy_id: str) -> pb.ListBeneficiariesResponse:
    return house.stub.ListBeneficiaries(pb.ListBeneficiariesRequest(policy_id=policy_id), metadata=person.metadata())


def test_beneficiaries_are_set_anew_and_those_of_before_are_kept(house: House, people: People) -> None:
    person = people.customer()
    policy_id = house.issue(person, beneficiaries=some(10000)).policy_id
    first = listed(house, person, policy_id).current
    assert (first.version, first.actor) == (1, person.user_id)
    name(house, person, policy_id, 6000, 4000)
    name(house, person, policy_id)
    answer = listed(house, person, policy_id)
    shares = [[item.share_basis_points for item in named.beneficiaries] for named in (answer.current, *answer.history)]
    assert shares == [[], [6000, 4000], [10000]]


def test_policy_that_nobody_is_named_in_lists_nobody(house: House, people: People) -> None:
    person = people.customer()
    answer = listed(house, person, house.issue(person).policy_id)
    assert (answer.current.version, len(answer.current.beneficiaries), len(answer.history)) == (0, 0, 0)


@pytest.mark.parametrize("shares", [(5000,), (6000, 6000), (3333, 3333, 3333)])
def test_shares_that_do_not_make_the_whole_are_refused(house: House, people: People, shares: tuple[int, ...]) -> None:
    person = people.customer()
    policy_id = house.issue(person).policy_id
    for call in (
        lambda: name(house, person, policy_id, *shares),
        lambda: house.issue(person, beneficiaries=some(*shares)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert (reason_of(refused.value), metadata_of(refused.value)["sum"]) == ("SHARES_NOT_WHOLE", str(sum(shares)))
    assert house.rows("SELECT (SELECT count(*) FROM beneficiaries), (SELECT count(*) FROM policies)") == [(0, 1)]


def test_beneficiary_has_a_name(house: House, people: People) -> None:
    nobody = [*some(5000), pb.Beneficiary(name=" ", share_basis_points=5000)]
    with pytest.raises(grpc.RpcError) as refused:
        house.issue(people.customer(), beneficiaries=nobody)
    assert violations_of(refused.value) == {"beneficiaries[1].name": "is empty"}
    assert house.rows("SELECT count(*) FROM policies") == [(0,)]


def test_database_refuses_shares_that_do_not_make_the_whole(house: House, people: People) -> None:
    policy_id = ids.decode("pol", house.issue(people.customer()).policy_id)
    house.rows(f"INSERT INTO beneficiary_sets VALUES ('{policy_id}', 1, now(), 'test') RETURNING 1")
    with pytest.raises(psycopg.errors.CheckViolation):
        house.rows(f"INSERT INTO beneficiaries VALUES ('{policy_id}', 1, 1, 'Ana', '', 9999) RETURNING 1")


def test_beneficiaries_that_changed_meanwhile_are_not_set(house: House, people: People) -> None:
    person = people.customer()
    policy_id = house.issue(person).policy_id
    etag = name(house, person, policy_id, 10000).etag
    name(house, person, policy_id, 5000, 5000, if_match=etag)
    with pytest.raises(grpc.RpcError) as refused:
        name(house, person, policy_id, 10000, if_match=etag)
    assert reason_of(refused.value) == "CONCURRENT_CHANGE"


def test_same_key_sets_beneficiaries_once(house: House, people: People) -> None:
    person, key = people.customer(), new_key()
    policy_id = house.issue(person).policy_id
    assert name(house, person, policy_id, 10000, idempotency_key=key) == name(
        house, person, policy_id, 10000, idempotency_key=key
    )
    assert listed(house, person, policy_id).current.version == 1


def test_only_those_who_act_for_the_holder_set_beneficiaries(house: House, people: People) -> None:
    owner, partner = people.customer(), ids.new()
    policy_id = house.issue(owner, house.quotes.add(owner, partner_id=partner)).policy_id
    for person in (people.customer(), people.admin(), people.agent()):
        with pytest.raises(grpc.RpcError) as refused:
            name(house, person, policy_id, 10000)
        assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    assert name(house, people.agent(partner), policy_id, 10000).version == 1


def test_contract_that_has_ended_names_nobody_any_more(
    house: House, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.customer()
    policy_id = house.issue(person).policy_id
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(grpc.RpcError) as refused:
        name(house, person, policy_id, 10000)
    assert reason_of(refused.value) == "POLICY_STATE_INVALID"
