"""A lapse, and what puts a policy back, over HTTP: what policies says is owed is what payments bills and books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.idempotency.desk import Desk, Request
from tests.support.buyer import Buyer
from tests.support.people import People
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

Json = dict[str, Any]


@pytest.fixture
def desk(platform: Platform, buyer: Buyer) -> Desk:
    return Desk(buyer, People.trusting(platform.settings.auth), platform.settings)


@pytest.fixture
def finance(platform: Platform, buyer: Buyer) -> Buyer:
    token = People.trusting(platform.settings.auth).user("finance").authorization
    return Buyer(buyer.http, token.removeprefix("Bearer "))


def money(amount: Json) -> Decimal:
    return Decimal(amount.get("units", 0)) + Decimal(amount.get("nanos", 0)) / 10**9


def total(policy: Json) -> Decimal:
    return money(policy["term"]["premium"]["total"])


def check_books(finance: Buyer, policy_id: str, transaction_id: str) -> None:
    """What is billed is what is booked, behind a transaction."""
    path = f"/v1/ledger/journals?policyId={policy_id}&pageSize=100"
    finance.wait(path, lambda page: any(item["sourceId"] == transaction_id for item in page.get("journals", [])))
    ledger = finance.call("GET", f"/v1/policies/{policy_id}/ledger")
    assert [money(line["difference"]) for line in ledger["lines"]] == [0] * len(ledger["lines"])


def put_back(desk: Desk, policy_id: str, lapse_id: str) -> Json:
    """The policy is reinstated by an underwriter."""
    body = {"noLossStatement": "Nothing happened."}
    preview = desk.send(desk.underwriter(f"/v1/policies/{policy_id}:reinstate", {**body, "validateOnly": True}))
    done = desk.send(desk.underwriter(f"/v1/policies/{policy_id}:reinstate", body))
    assert preview["change"] == done["change"]
    return done


def taken_back(desk: Desk, policy_id: str, lapse_id: str) -> Json:
    """The lapse is reversed by two administrators."""
    path = f"/v1/policies/{policy_id}/transactions/{lapse_id}:reverse"
    asked = desk.send(desk.admin(path, {"reason": "The transfer came in time."}))
    decide: Request = desk.admin(
        f"/v1/policyApprovals/{asked['approvalId']}:decide", {"decision": "DECISION_APPROVE"}, second=True
    )
    result: Json = desk.send(decide)["result"]
    assert result["change"] == asked["change"]
    return result


@pytest.mark.parametrize("back", [put_back, taken_back])
def test_lapse_and_what_undoes_it_come_to_nothing_for_policy_bill_and_books(
    desk: Desk, buyer: Buyer, finance: Buyer, back: Any
) -> None:
    policy_id, lapse_id = desk.lapsed()
    lapsed = buyer.call("GET", f"/v1/policies/{policy_id}")
    assert (lapsed["state"], total(lapsed)) == ("STATE_LAPSED", Decimal(0))
    check_books(finance, policy_id, lapse_id)
    result = back(desk, policy_id, lapse_id)
    now = buyer.call("GET", f"/v1/policies/{policy_id}")
    assert (now["state"], total(now)) == ("STATE_IN_FORCE", money(result["change"]["total"]))
    check_books(finance, policy_id, result["transaction"]["transactionId"])
    billing = buyer.call("GET", f"/v1/policies/{policy_id}/billing")
    assert money(billing["premium"]["total"]) == total(now)
