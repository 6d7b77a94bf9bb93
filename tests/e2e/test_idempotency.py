"""Every method that takes an idempotency key, called twice with one: the second call changes nothing and says so."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import httpx
import pytest
from google.protobuf import descriptor_pb2

from bazaruto.options.v1 import options_pb2
from bazarutod.demo import RISK, risk
from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

Request = tuple[str, str, dict[str, Any]]
"""Method, path and body over HTTP."""


def register(buyer: Buyer) -> Request:
    email = f"{secrets.token_hex(8)}@example.com"
    return "POST", "/v1/users", {"email": email, "password": "a long enough secret", "fullName": "Ana"}


def update(buyer: Buyer) -> Request:
    return "PATCH", "/v1/users/me", {"fullName": f"Ana {secrets.token_hex(4)}"}


def create_quote(buyer: Buyer) -> Request:
    return "POST", "/v1/quotes", {"risk": RISK}


def update_quote(buyer: Buyer) -> Request:
    quote = buyer.call("POST", "/v1/quotes", {"risk": risk()}, key=secrets.token_hex(16))
    return "PATCH", f"/v1/quotes/{quote['quoteId']}", {"coverages": []}


def price(buyer: Buyer) -> Request:
    quote = buyer.call("POST", "/v1/quotes", {"risk": RISK, "draft": True}, key=secrets.token_hex(16))
    return "POST", f"/v1/quotes/{quote['quoteId']}:price", {}


def accept(buyer: Buyer) -> Request:
    quote = buyer.call("POST", "/v1/quotes", {"risk": risk()}, key=secrets.token_hex(16))
    return "POST", f"/v1/quotes/{quote['quoteId']}:accept", {}


def unaccept(buyer: Buyer) -> Request:
    return "POST", f"/v1/quotes/{buyer.accepted_quote()['quoteId']}:unaccept", {}


def withdraw(buyer: Buyer) -> Request:
    return "POST", f"/v1/quotes/{buyer.accepted_quote()['quoteId']}:withdraw", {}


def clone(buyer: Buyer) -> Request:
    _, path, _ = withdraw(buyer)
    buyer.call("POST", path, {})
    return "POST", path.replace(":withdraw", ":clone"), {}


def issue(buyer: Buyer) -> Request:
    return "POST", "/v1/policies", {"quoteId": buyer.accepted_quote()["quoteId"]}


def pay(buyer: Buyer) -> Request:
    invoice = buyer.invoice_of(buyer.issue())
    return "POST", f"/v1/invoices/{invoice['invoiceId']}:pay", {"paymentMethod": "pm_card_ok"}


def confirm(buyer: Buyer) -> Request:
    payment = buyer.pay(buyer.invoice_of(buyer.issue()), "pm_card_action")
    return "POST", f"/v1/payments/{payment['paymentId']}:confirm", {}


def add_method(buyer: Buyer) -> Request:
    body = {"token": "pm_card_ok", "displayName": secrets.token_hex(4), "mandateText": "You may collect."}
    return "POST", "/v1/paymentMethods", body


def added_method(buyer: Buyer) -> str:
    method, path, body = add_method(buyer)
    return f"{path}/{buyer.call(method, path, body, key=secrets.token_hex(16))['paymentMethodId']}"


def remove_method(buyer: Buyer) -> Request:
    return "DELETE", added_method(buyer), {}


def set_default_method(buyer: Buyer) -> Request:
    return "POST", f"{added_method(buyer)}:setDefault", {}


def update_account(buyer: Buyer) -> Request:
    policy_id = buyer.issue()["policyId"]
    buyer.invoice_of({"policyId": policy_id})
    return "PATCH", f"/v1/billingAccounts/{policy_id.replace('pol_', 'bac_')}", {"dueDay": 15}


REQUESTS: dict[str, Callable[[Buyer], Request]] = {
    "bazaruto.users.v1.UserService/RegisterUser": register,
    "bazaruto.users.v1.UserService/UpdateUser": update,
    "bazaruto.quotes.v1.QuoteService/CreateQuote": create_quote,
    "bazaruto.quotes.v1.QuoteService/UpdateQuote": update_quote,
    "bazaruto.quotes.v1.QuoteService/PriceQuote": price,
    "bazaruto.quotes.v1.QuoteService/AcceptQuote": accept,
    "bazaruto.quotes.v1.QuoteService/UnacceptQuote": unaccept,
    "bazaruto.quotes.v1.QuoteService/WithdrawQuote": withdraw,
    "bazaruto.quotes.v1.QuoteService/CloneQuote": clone,
    "bazaruto.policies.v1.PolicyService/IssuePolicy": issue,
    "bazaruto.payments.v1.BillingService/UpdateBillingAccount": update_account,
    "bazaruto.payments.v1.PaymentMethodService/AddPaymentMethod": add_method,
    "bazaruto.payments.v1.PaymentMethodService/RemovePaymentMethod": remove_method,
    "bazaruto.payments.v1.PaymentMethodService/SetDefaultPaymentMethod": set_default_method,
    "bazaruto.payments.v1.PaymentService/PayInvoice": pay,
    "bazaruto.payments.v1.PaymentService/ConfirmPayment": confirm,
}


def methods_with_keys() -> set[str]:
    """Every method whose contract lets it take a key."""
    descriptors = descriptor_pb2.FileDescriptorSet.FromString((files("bazaruto") / "descriptors.binpb").read_bytes())
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in descriptors.file
        for service in file.service
        for method in service.method
        if method.options.Extensions[options_pb2.idempotency]
        in (options_pb2.IDEMPOTENCY_REQUIRED, options_pb2.IDEMPOTENCY_OPTIONAL)
    }


def test_every_method_that_takes_a_key_is_called_here() -> None:
    assert set(REQUESTS) == methods_with_keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_call_repeated_with_its_key_is_answered_from_the_first_one(platform: Platform, buyer: Buyer, name: str) -> None:
    method, path, body = REQUESTS[name](buyer)
    key = secrets.token_hex(16)
    first, second = (send(platform, buyer, method, path, body, key) for _ in range(2))
    assert first.status_code == second.status_code == 200, (first.text, second.text)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == first.json()


@pytest.mark.parametrize("name", REQUESTS)
def test_key_is_refused_with_another_request(platform: Platform, buyer: Buyer, name: str) -> None:
    method, path, body = REQUESTS[name](buyer)
    key = secrets.token_hex(16)
    assert send(platform, buyer, method, path, body, key).status_code == 200
    answer = send(platform, buyer, *changed(name, buyer), key)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["reason"] == "IDEMPOTENCY_KEY_REUSED"


def changed(name: str, buyer: Buyer) -> Request:
    """The same kind of request about something else."""
    method, path, body = REQUESTS[name](buyer)
    if "risk" in body:
        body = {"risk": {**RISK, "answers": {**RISK["answers"], "annual_km": 35000}}}
    return method, path, body


def send(platform: Platform, buyer: Buyer, method: str, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {buyer.token}", "idempotency-key": key}
    return httpx.request(method, f"{platform.url}{path}", json=body, headers=headers, timeout=30)
