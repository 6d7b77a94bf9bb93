"""Every method that takes an idempotency key, called twice with one: the second call changes nothing and says so."""

from __future__ import annotations

import secrets

import httpx
import pytest

from bazaruto.options.v1 import options_pb2
from tests.e2e.idempotency import payments, policies, quotes, users
from tests.e2e.idempotency.desk import Desk, Request
from tests.support.access import access_of, all_methods
from tests.support.buyer import Buyer
from tests.support.people import People
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

REQUESTS = {
    f"bazaruto.{module.__name__.rpartition('.')[2]}.v1.{name}": make
    for module in (users, quotes, policies, payments)
    for name, make in module.REQUESTS.items()
}
KEYED = (options_pb2.IDEMPOTENCY_REQUIRED, options_pb2.IDEMPOTENCY_OPTIONAL)


@pytest.fixture
def desk(platform: Platform, buyer: Buyer) -> Desk:
    return Desk(buyer, People.trusting(platform.settings.auth), platform.settings)


def methods_with_keys() -> set[str]:
    """Every method whose contract lets a person send a key; what services call is tried with their services, and so is
    what a neighbour keeps the key for.
    """
    return {
        f"{method.containing_service.full_name}/{method.name}"
        for method in all_methods()
        if method.GetOptions().Extensions[options_pb2.idempotency] in KEYED
        and access_of(method).audience != options_pb2.AUDIENCE_INTERNAL
    }


def test_every_method_that_takes_a_key_is_called_here() -> None:
    assert set(REQUESTS) == methods_with_keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_call_repeated_with_its_key_is_answered_from_the_first_one(platform: Platform, desk: Desk, name: str) -> None:
    request, key = REQUESTS[name](desk), secrets.token_hex(16)
    first, second = (send(platform, request, key) for _ in range(2))
    assert first.status_code == second.status_code == 200, (first.text, second.text)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == first.json()
    answer = send(platform, REQUESTS[name](desk), key)  # with another request the key is refused
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["reason"] == "IDEMPOTENCY_KEY_REUSED"


def send(platform: Platform, request: Request, key: str) -> httpx.Response:
    headers = {"authorization": request.token, "idempotency-key": key}
    url = f"{platform.url}{request.path}"
    return httpx.request(request.method, url, json=request.body, headers=headers, timeout=30)
