"""A customer who buys policies over HTTP and repeats a call with its key until it is answered."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from bazarutod.demo import risk

_AGAIN = (429, 499, 500, 502, 503, 504)
_PATIENCE = 90.0  # seconds
_PASSWORD = "a long enough secret"


@dataclass
class Buyer:
    """One customer with an HTTP client of their own."""

    http: httpx.Client
    token: str = ""
    user_id: str = ""
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str = "", accept: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Call until it is answered; an answer other than success (or one of `accept`) fails the test."""
        headers = {"traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-01"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if key:
            headers["idempotency-key"] = key
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                answer = self.http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and (answer.is_success or answer.status_code in accept):
                return dict(answer.json())
            reply = f"{answer.status_code} {answer.text}" if answer is not None else "no answer"
            assert answer is None or answer.status_code in _AGAIN or "IN_USE" in reply, f"{method} {path}: {reply}"
            assert time.monotonic() < deadline, f"{method} {path} was never answered: {reply}"
            time.sleep(0.1)

    def sign_up(self) -> None:
        """Register and log in."""
        email = f"{secrets.token_hex(8)}@example.com"
        account = {"email": email, "password": _PASSWORD, "fullName": "Test Buyer"}
        self.call("POST", "/v1/users", account, accept=(409,))
        tokens = self.call("POST", "/v1/auth/login", {"email": email, "password": _PASSWORD})
        self.token, self.user_id = tokens["accessToken"], tokens["userId"]

    def accepted_quote(self) -> dict[str, Any]:
        """A quote that a policy can be issued from."""
        quote = self.call("POST", "/v1/quotes", {"risk": risk()}, key=secrets.token_hex(16))
        return self.call("POST", f"/v1/quotes/{quote['quoteId']}:accept", {}, key=secrets.token_hex(16))

    def issue(self, **fields: str) -> dict[str, Any]:
        """Issue a policy from a new quote."""
        body = {"quoteId": self.accepted_quote()["quoteId"], **fields}
        return self.call("POST", "/v1/policies", body, key=secrets.token_hex(16))

    def invoice_of(self, policy: dict[str, Any]) -> dict[str, Any]:
        """The first invoice of a policy, as soon as it is there."""
        path = f"/v1/invoices?policyId={policy['policyId']}"
        return self.wait(path, lambda page: bool(page["invoices"]))["invoices"][0]  # type: ignore[no-any-return]

    def pay(self, invoice: dict[str, Any], method: str = "pm_card_ok") -> dict[str, Any]:
        """Pay an invoice."""
        path = f"/v1/invoices/{invoice['invoiceId']}:pay"
        return self.call("POST", path, {"paymentMethod": method}, key=secrets.token_hex(16))

    def in_force(self, policy: dict[str, Any]) -> dict[str, Any]:
        """The policy, as soon as it is in force."""
        return self.wait(f"/v1/policies/{policy['policyId']}", lambda resource: resource["state"] == "STATE_IN_FORCE")

    def wait(self, path: str, ready: Any) -> dict[str, Any]:
        """Read until it is as wanted."""
        deadline = time.monotonic() + _PATIENCE
        while not ready(resource := self.call("GET", path)):
            assert time.monotonic() < deadline, f"{path} stayed {resource}"
            time.sleep(0.1)
        return resource
