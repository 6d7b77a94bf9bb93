"""A customer who buys motor policies, step by step as an app would, and sends nothing that the platform is not owed:
no trace of their own, so that the platform samples as it is configured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bazarutod.demo import risk
from tests.performance.http1 import Connection, Request

QUOTE_PATH = "/v1/quotes"
# The same risk for a commit that knows of no insured objects.
_WITHOUT_OBJECTS: dict[str, Any] = {
    "productCode": "motor",
    "answers": {
        "driver_age": 34,
        "licence_years": 12,
        "vehicle_value": 18000,
        "vehicle_age": 3,
        "engine_power": 85,
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
_METHOD = "pm_card_ok"
_LOOK_EVERY = 0.1  # seconds; each look is a read that the platform pays for, too
_PATIENCE = 60.0  # seconds until a policy is in force


def quote_request(names_objects: bool) -> dict[str, Any]:
    """What is asked for: a compact car of a careful driver; a new car each time where objects are named."""
    return {"risk": risk() if names_objects else _WITHOUT_OBJECTS}


class Buyer:
    """One customer on one connection. `by_invoice` pays the first invoice; otherwise issuing carries the payment."""

    def __init__(self, connection: Connection, token: str, *, names_objects: bool, by_invoice: bool) -> None:
        self._connection = connection
        self._token = token
        self._names_objects = names_objects
        self._by_invoice = by_invoice

    async def buy(self) -> float:
        """Buy a policy. Seconds from asking for a quote to the moment from which the policy is in force."""
        started = time.time()
        quote = await self._call("POST", QUOTE_PATH, quote_request(self._names_objects))
        await self._call("POST", f"{QUOTE_PATH}/{quote['quoteId']}:accept", {})
        order = {"quoteId": quote["quoteId"]} | ({} if self._by_invoice else {"paymentMethod": _METHOD})
        issued = await self._call("POST", "/v1/policies", order)
        if self._by_invoice:
            listed = await self._wait(f"/v1/invoices?policyId={issued['policyId']}", lambda page: page.get("invoices"))
            path = f"/v1/invoices/{listed['invoices'][0]['invoiceId']}:pay"
            await self._call("POST", path, {"paymentMethod": _METHOD})
        policy = await self._wait(f"/v1/policies/{issued['policyId']}", lambda shown: shown.get("activateTime"))
        # The moment that the platform has stored; when it was looked at says less.
        return datetime.fromisoformat(policy["activateTime"]).timestamp() - started

    async def _wait(self, path: str, is_ready: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while not is_ready(shown := await self._call("GET", path)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} stayed {shown}")
            await asyncio.sleep(_LOOK_EVERY)
        return shown

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        description: dict[str, Any] = {"method": method, "path": path, "token": self._token, "keyed": method == "POST"}
        if body is not None:
            description["body"] = body
        answer = await self._connection.ask(Request.of(description))
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {answer.body.decode(errors='replace')}")
        return dict(json.loads(answer.body))
