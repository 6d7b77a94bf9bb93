"""`bazarutod demo`: one purchase over HTTP, step by step, as a customer's app would do it."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from bazarutod import waterfall

_PATIENCE = 15.0  # seconds until the bill is there, and until the policy is in force


def risk() -> dict[str, Any]:
    """A compact car of a careful driver, with a number plate that no other call gives.

    What is asked and what can be covered says GET /v1/products/motor.
    """
    vehicle = {
        "plate": "-".join(secrets.token_hex(1).upper() for _ in range(3)),
        "vin": "VF1RJA00012345678",
        "model": "Renault Clio",
        "first_registered": "2023-05-02",
        "value": "18000.00",
        "engine_power": 85,
    }
    return {
        "productCode": "motor",
        "objects": [
            {"objectCode": "vehicle", "fields": vehicle},
            {"objectCode": "driver", "fields": {"name": "Ana Macuácua", "date_of_birth": "1992-03-14"}},
        ],
        "answers": {
            "licence_years": 12,
            "annual_km": 12000,
            "region": "lisbon",
            "use": "private",
            "claims_5_years": 0,
            "claim_free_years": 6,
            "garage": True,
            "telematics": False,
        },
        "coverages": [{"coverageCode": "own_damage"}, {"coverageCode": "roadside"}],
    }


RISK = risk()


@dataclass
class Customer:
    """A customer's app: one trace for the whole purchase, and a token once logged in."""

    http: httpx.Client
    console: Console
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    token: str = ""

    def call(self, step: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One step of the purchase; ends the program with the platform's own words when it fails."""
        headers = {"traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-01"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if method == "POST":
            headers["idempotency-key"] = secrets.token_hex(16)
        started = time.perf_counter()
        answer = self.http.request(method, path, json=body, headers=headers)
        milliseconds = (time.perf_counter() - started) * 1000
        if answer.is_error:
            sys.exit(f"{method} {path} failed with {answer.status_code}: {answer.text}")
        if step:
            self.console.print(
                f"[green]✓[/] {step:<34} [dim]{milliseconds:>5.0f} ms  {method} {path}[/]", soft_wrap=True
            )
        return dict(answer.json())

    def wait(self, path: str, ready: Any) -> dict[str, Any]:
        """Read a resource until it is as wanted."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            resource = self.call("", "GET", path)
            if ready(resource):
                return resource
            time.sleep(0.05)
        sys.exit(f"GET {path} did not become as expected within {_PATIENCE:.0f} s; see the logs.")


def run(gateway: str, folder: Path) -> None:
    """Buy a policy and print how."""
    console = Console(highlight=False)
    try:
        with httpx.Client(base_url=gateway, timeout=30) as http:
            buyer = Customer(http, console)
            buy(buyer)
    except httpx.TransportError as error:
        sys.exit(f"The gateway at {gateway} does not answer ({error}). Is the platform running? Start it: make run")
    time.sleep(0.8)  # the processes write their spans a moment later
    if spans := waterfall.load(folder / "spans", buyer.trace_id):
        console.print()
        waterfall.show(spans)
    console.print(f"\nAgain, at any time: bazarutod trace {buyer.trace_id}")


def buy(buyer: Customer) -> dict[str, Any]:
    """Register, log in, quote, accept, issue, pay; returns the policy in force."""
    email, password = f"ana.{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12)
    account = {"email": email, "password": password, "fullName": "Ana Macuácua"}
    buyer.call(f"registered {email}", "POST", "/v1/users", account)
    tokens = buyer.call("logged in", "POST", "/v1/auth/login", {"email": email, "password": password})
    buyer.token = tokens["accessToken"]
    quote = buyer.call("got a quote", "POST", "/v1/quotes", {"risk": risk()})
    _print_price(buyer.console, quote)
    buyer.call("accepted it", "POST", f"/v1/quotes/{quote['quoteId']}:accept", {})
    policy = buyer.call("policy issued, pending", "POST", "/v1/policies", {"quoteId": quote["quoteId"]})
    invoices = buyer.wait(f"/v1/invoices?policyId={policy['policyId']}", lambda page: page["invoices"])
    invoice = invoices["invoices"][0]
    path = f"/v1/invoices/{invoice['invoiceId']}:pay"
    buyer.call(f"paid {invoice['invoiceNumber']}", "POST", path, {"paymentMethod": "pm_card_ok"})
    path = f"/v1/policies/{policy['policyId']}"
    policy = buyer.wait(path, lambda resource: resource["state"] == "STATE_IN_FORCE")
    end = policy["term"]["endDate"]
    last_day = date(end["year"], end["month"], end["day"]) - timedelta(days=1)
    insured = next(item["identifier"] for item in policy["objects"] if item["objectCode"] == "vehicle")
    buyer.console.print(
        f"[bold green]✓ policy {policy['policyNumber']} is in force[/],"
        f" {insured} is covered until the end of {last_day}"
    )
    return policy


def _print_price(console: Console, quote: dict[str, Any]) -> None:
    for step in quote["steps"]:
        factor = f"× {step['factor']}" if step["factor"] else ""
        about = f"{step['name']} {step['objectId']}".rstrip()
        console.print(f"    {about:<32} {factor:>10} {_amount(step['amount']):>16}", style="dim")
    console.print(f"    {'total':<32} {'':>10} {_amount(quote['premium']['total']):>16}")


def _amount(money: dict[str, Any]) -> str:
    return f"{int(money.get('units', 0)) + money.get('nanos', 0) / 1e9:,.2f} {money['currencyCode']}"
