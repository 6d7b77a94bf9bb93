"""Products whose price is what the buyer says, so that a worked case can have its own premium."""

from __future__ import annotations

import json
import secrets
from typing import Any

from libs.identity.authority import Authority
from tests.support.buyer import Buyer
from tests.support.people import People

TAX = "0.17"
_KEPT = {1: 0.25, 75: 0.31, 90: 0.35, 150: 0.52, 186: 0.62, 223: 0.69, 260: 0.77, 297: 0.86, 334: 0.94, 338: 0.95}
_INSURED = ["customer", "agent"]
_PLANS = {"annual": 1, "halves": 2, "monthly": 12}
_QUESTIONS = [
    {"code": "premium", "text": "What does it cost?", "type": "money", "minimum": 1, "maximum": 99999},
    {"code": "days", "text": "For how many days?", "type": "integer", "minimum": 1, "maximum": 366},
]


def code_of(currency: str, *, is_taxed: bool = False, by_days: bool = False) -> str:
    """The code of the product of that kind."""
    return f"case_{currency.lower()}" + "_taxed" * is_taxed + "_days" * by_days


def definition(currency: str, *, is_taxed: bool, by_days: bool) -> dict[str, Any]:
    """A product file: one coverage that costs what `premium` says, and every way to cancel it."""
    return {
        "code": code_of(currency, is_taxed=is_taxed, by_days=by_days),
        "version": 1,
        "display_name": "Worked case",
        "description": "Its premium is an answer.",
        "currency": currency,
        "time_zone": "UTC",
        "on_sale_from": "2026-01-01",
        "validity_days": 30,
        "term": {"days": "days"} if by_days else {"years": 1},
        "coverages": [{"code": "loss", "display_name": "Loss", "mandatory": True}],
        "questions": _QUESTIONS if by_days else _QUESTIONS[:1],
        "rating": [{"name": "base", "kind": "base", "coverages": ["loss"], "rate": 1, "of": "premium"}],
        "taxes": [{"code": "premium_tax", "rate": TAX}] if is_taxed else [],
        "underwriting": [],
        "plans": [
            {"code": code, "display_name": code, "installments": parts}
            for code, parts in _PLANS.items()
            if parts == 1 or not by_days
        ],
        "cover": {"starts": "start_of_day", "latest_days": 365},
        "change": {"by": [*_INSURED, "underwriter"], "charge": "spread", "credit": "account"},
        "cancellation": [
            {"reason": "cooling_off", "by": _INSURED, "method": "flat", "within_days": 14},
            {"reason": "pro_rata", "by": _INSURED, "method": "pro_rata"},
            {"reason": "short_rate", "by": _INSURED, "method": "short_rate", "rate": 0.9},
            {"reason": "table", "by": _INSURED, "method": "table", "table": _KEPT},
            {"reason": "non_payment", "by": ["system", "underwriter"], "method": "pro_rata"},
        ],
        "dunning": {"grace_days": 30, "steps": [{"day": 0, "do": "remind"}, {"day": 30, "do": "lapse"}]},
    }


def publish(buyer: Buyer, people: People) -> None:
    """Put all of them on sale."""
    level = Authority(underwriting_level=9)
    author, publisher = (
        Buyer(buyer.http, people.user("underwriter", authority=level).authorization.removeprefix("Bearer "))
        for _ in range(2)
    )
    for document in (
        definition("USD", is_taxed=False, by_days=False),
        definition("JPY", is_taxed=False, by_days=False),
        definition("MZN", is_taxed=False, by_days=False),
        definition("EUR", is_taxed=True, by_days=False),
        definition("USD", is_taxed=False, by_days=True),
    ):
        path = f"/v1/products/{document['code']}/versions"
        # A product file is YAML, of which JSON is a part.
        author.call("POST", path, {"definition": json.dumps(document)}, key=secrets.token_hex(16))
        publisher.call("POST", f"{path}/1:publish", {}, key=secrets.token_hex(16))
