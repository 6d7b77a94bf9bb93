"""Pages of lists: they show everything once, and a token that the service did not make for this list is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs.identity.secrets import read_secret
from libs.rpc.page_tokens import PageTokens
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People, Person


def list_policies(house: House, person: Person, **fields: Any) -> pb.ListPoliciesResponse:
    return house.stub.ListPolicies(pb.ListPoliciesRequest(**fields), metadata=person.metadata())


def refusal_of_transactions_behind(house: House, person: Person, secret: bytes, key: str) -> grpc.RpcError:
    """The error for a page of a policy's transactions, whose token names a key that no page ever showed."""
    policy_id = house.issue(person).policy_id
    token = PageTokens(secret).sign(key, ("transactions", policy_id))
    request = pb.ListPolicyTransactionsRequest(policy_id=policy_id, page_token=token)
    with pytest.raises(grpc.RpcError) as refused:
        house.stub.ListPolicyTransactions(request, metadata=person.metadata())
    return refused.value


def test_pages_show_every_policy_of_the_caller_once_and_newest_first(house: House, people: People) -> None:
    person = people.customer()
    issued = [house.issue(person).policy_id for _ in range(5)]
    house.issue(people.customer())
    seen: list[str] = []
    token = ""
    while True:
        page = list_policies(house, person, page_size=2, page_token=token)
        seen += [policy.policy_id for policy in page.policies]
        token = page.next_page_token
        if not token:
            break
    assert seen == issued[::-1]


def test_page_token_of_another_list_is_refused(house: House, people: People) -> None:
    person, stranger = people.customer(), people.customer()
    for _ in range(2):
        house.issue(person)
    token = list_policies(house, person, page_size=1).next_page_token
    for caller, fields in (
        (stranger, {"page_token": token}),
        (person, {"page_token": token, "product_code": "home"}),
        (person, {"page_token": "nonsense"}),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            list_policies(house, caller, **fields)
        assert reason_of(refused.value) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("key", ["1", "99999999999999999999999", "x", "\0"])
def test_forged_page_token_is_refused(house: House, people: People, key: str) -> None:
    refused = refusal_of_transactions_behind(house, people.customer(), b"guessed" * 5, key)
    assert (refused.code(), reason_of(refused)) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize("key", ["99999999999999999999999", str(2**63), str(2**31), "-1", "x", "\0"])
def test_signed_page_token_with_an_impossible_key_is_refused(house: House, people: People, key: str) -> None:
    secret = read_secret(people.auth.internal_secret_file)
    refused = refusal_of_transactions_behind(house, people.customer(), secret, key)
    assert (refused.code(), reason_of(refused)) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def test_page_token_of_one_replica_is_good_at_another(
    house: House, people: People, start_server: Callable[..., grpc.Channel]
) -> None:
    person = people.customer()
    oldest, newest = house.issue(person).policy_id, house.issue(person).policy_id
    first = list_policies(house, person, page_size=1)
    second = list_policies(House(start_server, house.url), person, page_size=1, page_token=first.next_page_token)
    assert [policy.policy_id for page in (first, second) for policy in page.policies] == [newest, oldest]
    assert second.next_page_token == ""
