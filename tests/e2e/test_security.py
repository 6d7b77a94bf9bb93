"""What the platform remembers of a purchase and of a guesser, over HTTP, with the addresses of the callers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.admins import PASSWORD, admin_headers
from tests.support.buyer import Buyer
from tests.support.platform import Platform
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("platform")

ELSEWHERE = "127.0.0.7"  # an address that no other test of the run calls from


@pytest.fixture
def http(platform: Platform) -> Iterator[httpx.Client]:
    """A client that calls from elsewhere."""
    transport = httpx.HTTPTransport(local_address=ELSEWHERE)
    with httpx.Client(base_url=platform.url, transport=transport, timeout=30) as client:
        yield client


@pytest.fixture
def admin(platform: Platform, http: httpx.Client) -> dict[str, str]:
    """The headers of an admin."""
    return admin_headers(platform.environment, http)


def test_a_purchase_is_in_three_audit_logs_under_its_trace(
    buyer: Buyer, http: httpx.Client, admin: dict[str, str]
) -> None:
    policy = buyer.issue()
    payment = buyer.pay(buyer.invoice_of(policy))
    buyer.in_force(policy)

    def events(service: str, **filters: str) -> list[dict[str, Any]]:
        answer = http.get(f"/v1/audit/{service}", params=filters, headers=admin)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["events"])

    [paid] = events("payments", resource=payment["paymentId"])
    activated, issued = events("policies", resource=policy["policyId"])
    logged_in, created = events("users", resource=buyer.user_id)
    actions = [event["action"] for event in (created, logged_in, issued, paid, activated)]
    assert actions == ["user_created", "login_succeeded", "policy_issued", "payment_succeeded", "policy_activated"]
    assert {event["traceId"] for event in (created, logged_in, issued, paid, activated)} == {buyer.trace_id}
    assert {event["clientAddress"] for event in (created, logged_in, issued, paid)} == {"127.0.0.1"}
    assert issued["after"]["number"] == policy["policyNumber"]
    assert activated["actor"] == "service:payments-worker"
    assert [event["action"] for event in events("users", actor="operator")][:1] == ["admin_created"]


def test_customers_do_not_read_the_audit_log(buyer: Buyer) -> None:
    refused = buyer.call("GET", "/v1/audit/users", accept=(403,))
    assert refused["error"]["details"][0]["reason"] == "ACCESS_DENIED"


def test_guesser_is_told_to_wait_and_is_in_the_audit_log_with_their_address(
    http: httpx.Client, admin: dict[str, str]
) -> None:
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "fullName": "Ana"}
    user_id = http.post("/v1/users", json=account).json()["userId"]
    guess = {"email": account["email"], "password": "wrong-carrinha-47"}
    before = _suspicious(http)
    assert [http.post("/v1/auth/login", json=guess).status_code for _ in range(5)] == [401] * 5
    for _ in range(10):  # on a machine so slow that the wait is over before the next attempt, it doubles
        if (answer := http.post("/v1/auth/login", json=guess)).status_code != 401:
            break
    assert answer.status_code == 429
    assert answer.json()["error"]["details"][0]["reason"] == "TOO_MANY_ATTEMPTS"
    assert int(answer.headers["retry-after"]) >= 1
    until(lambda: _suspicious(http) > before)  # it is counted when the answer is out
    assert _suspicious(http) == before + 1
    failed = http.get("/v1/audit/users", params={"resource": user_id, "action": "login_failed"}, headers=admin).json()
    assert {event["clientAddress"] for event in failed["events"]} == {ELSEWHERE}


def _suspicious(http: httpx.Client) -> float:
    """The counter of the gateway."""
    name = "bazaruto_suspicious_requests_total "
    [line] = [line for line in http.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))
