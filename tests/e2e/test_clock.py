"""What time does to contracts, seen from outside: the clock of a running platform is moved, and its API asked."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bazarutod.demo import risk
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform

pytestmark = pytest.mark.xdist_group("clock")


@pytest.fixture(scope="module")
def movable() -> Iterator[Platform]:
    """A platform whose clock nobody else goes by."""
    with running_platform() as running:
        yield running


@pytest.fixture
def customer(movable: Platform) -> Iterator[Buyer]:
    """A signed-up customer of that platform."""
    with httpx.Client(base_url=movable.url, timeout=30) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        yield buyer


def clock(platform: Platform, *words: str) -> dict[str, Any]:
    """What `bazarutod clock` says."""
    command = [sys.executable, "-m", "bazarutod", "clock", *words, "--json"]
    done = subprocess.run(command, env=platform.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_quote_expires_when_its_time_has_passed(movable: Platform, customer: Buyer) -> None:
    quote = customer.call("POST", "/v1/quotes", {"risk": risk()}, key=secrets.token_hex(16))
    path = f"/v1/quotes/{quote['quoteId']}"
    before = moment(quote["validUntilTime"]) - timedelta(minutes=1)
    clock(movable, "advance", "--until", before.isoformat())
    assert customer.call("GET", path)["state"] == quote["state"]
    clock(movable, "advance", "2m")
    assert customer.call("GET", path)["state"] == "STATE_EXPIRED"
    refused = customer.call("POST", f"{path}:accept", {}, key=secrets.token_hex(16), accept=(400, 409))
    assert refused["error"]["details"][0]["reason"] == "QUOTE_EXPIRED"


def test_cover_that_is_paid_for_begins_on_its_day(movable: Platform, customer: Buyer) -> None:
    begins = (moment(clock(movable, "show")["now"]) + timedelta(days=10)).date()
    day = {"year": begins.year, "month": begins.month, "day": begins.day}
    quote = customer.call("POST", "/v1/quotes", {"risk": {**risk(), "startDate": day}}, key=secrets.token_hex(16))
    customer.call("POST", f"/v1/quotes/{quote['quoteId']}:accept", {}, key=secrets.token_hex(16))
    order = {"quoteId": quote["quoteId"], "paymentMethod": "pm_card_ok"}
    path = f"/v1/policies/{customer.call('POST', '/v1/policies', order, key=secrets.token_hex(16))['policyId']}"
    assert customer.wait(path, lambda policy: policy["state"] != "STATE_PENDING")["state"] == "STATE_SCHEDULED"
    clock(movable, "advance", "--until", f"{begins}T00:30:00Z")
    assert customer.call("GET", path)["state"] == "STATE_IN_FORCE"


def test_payment_that_its_payer_never_confirms_is_given_up_when_its_hour_is_over(
    movable: Platform, customer: Buyer
) -> None:
    payment = customer.pay(customer.invoice_of(customer.issue()), "pm_card_action")
    path = f"/v1/payments/{payment['paymentId']}"
    clock(movable, "advance", "50m")
    assert customer.call("GET", path)["state"] == "STATE_REQUIRES_ACTION"
    clock(movable, "advance", "20m")
    assert customer.call("GET", path)["state"] == "STATE_CANCELED"


def test_installments_are_billed_on_their_days(movable: Platform, customer: Buyer) -> None:
    policy = customer.issue(planCode="monthly", paymentMethod="pm_card_ok")
    customer.in_force(policy)
    outcome = clock(movable, "advance", "5w")
    invoices = customer.call("GET", f"/v1/invoices?policyId={policy['policyId']}")["invoices"][::-1]
    assert [invoice["installmentNumber"] for invoice in invoices] == [1, 2]
    for invoice in invoices[1:]:
        issued, due = moment(invoice["issueTime"]), datetime(**invoice["dueDate"], tzinfo=UTC)
        assert timedelta(days=6) <= due - issued < timedelta(days=7)
        assert issued.strftime("%H:%M") == "03:23"
    assert outcome["jobs"]["failed"] == []
    assert datetime.fromisoformat(outcome["now"]) >= datetime.fromisoformat(outcome["from"]) + timedelta(weeks=5)
    assert clock(movable, "show")["offset_seconds"] == outcome["offset_seconds"]


def test_first_bill_that_nobody_pays_is_withdrawn_when_its_time_is_over(movable: Platform, customer: Buyer) -> None:
    bill = customer.invoice_of(customer.issue())
    assert bill["state"] == "STATE_OPEN"
    clock(movable, "advance", "3d")
    assert customer.call("GET", f"/v1/invoices/{bill['invoiceId']}")["state"] == "STATE_VOID"


def test_tokens_of_the_days_before_are_still_good(movable: Platform, customer: Buyer) -> None:
    clock(movable, "advance", "2d")
    assert customer.call("GET", f"/v1/users/{customer.user_id}")["userId"] == customer.user_id
