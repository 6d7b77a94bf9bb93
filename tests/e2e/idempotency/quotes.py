"""Requests to quotes."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from bazarutod.demo import risk
from tests.e2e.idempotency.desk import Desk, Make, Request

DEFINITION: Final = """
code: {code}
version: 1
display_name: Bicycle insurance
description: Theft of a bicycle.
currency: EUR
time_zone: Europe/Lisbon
on_sale_from: 2026-01-01
validity_days: 30
term: {{years: 1}}
coverages:
  - {{code: theft, display_name: Theft, mandatory: true}}
questions:
  - {{code: value, text: Its value in euros, type: integer, minimum: 50, maximum: 9000}}
rating:
  - {{name: theft_base, kind: base, coverages: [theft], rate: 0.04, of: value}}
underwriting: []
plans:
  - {{code: annual, display_name: Once a year, installments: 1}}
"""
LATER: Final = {"year": 2099, "month": 1, "day": 1}
"""Nobody else who lists the products of the platform sees what is sold only then."""


def create(desk: Desk) -> Request:
    return desk.own("/v1/quotes", {"risk": risk()})


def update(desk: Desk) -> Request:
    return desk.own(f"/v1/quotes/{desk.quote()}", {"coverages": []}, "PATCH")


def price(desk: Desk) -> Request:
    return desk.own(f"/v1/quotes/{desk.quote(draft=True)}:price", {})


def accept(desk: Desk) -> Request:
    return desk.own(f"/v1/quotes/{desk.quote()}:accept", {})


def unaccept(desk: Desk) -> Request:
    return desk.own(f"/v1/quotes/{desk.accepted()}:unaccept", {})


def withdraw(desk: Desk) -> Request:
    return desk.own(f"/v1/quotes/{desk.quote()}:withdraw", {})


def clone(desk: Desk) -> Request:
    quote_id = desk.quote()
    desk.send(desk.own(f"/v1/quotes/{quote_id}:withdraw", {}))
    return desk.own(f"/v1/quotes/{quote_id}:clone", {})


def assign(desk: Desk) -> Request:
    return desk.underwriter(f"/v1/quotes/{desk.quote(claims=3)}:assign", {"userId": desk.underwriter_id})


def decide(desk: Desk) -> Request:
    decision = {"decision": "DECISION_APPROVE", "reason": "Long record."}
    return desk.underwriter(f"/v1/quotes/{desk.quote(claims=3)}:decide", decision)


def request_information(desk: Desk) -> Request:
    return desk.underwriter(f"/v1/quotes/{desk.quote(claims=3)}:requestInformation", _question())


def provide_information(desk: Desk) -> Request:
    quote_id = desk.quote(claims=3)
    desk.send(desk.underwriter(f"/v1/quotes/{quote_id}:requestInformation", _question()))
    return desk.own(f"/v1/quotes/{quote_id}:provideInformation", {"answer": "Nobody but me."})


def create_version(desk: Desk) -> Request:
    code = f"bicycle_{secrets.token_hex(4)}"
    return desk.underwriter(f"/v1/products/{code}/versions", {"definition": DEFINITION.format(code=code)})


def publish(desk: Desk) -> Request:
    draft = create_version(desk)
    desk.send(draft)
    return desk.underwriter(f"{draft.path}/1:publish", {"startDate": LATER}, second=True)


def withdraw_version(desk: Desk) -> Request:
    publication = publish(desk)
    desk.send(publication)
    return desk.admin(publication.path.replace(":publish", ":withdraw"), {"endDate": LATER})


def analyze(desk: Desk) -> Request:
    draft = create_version(desk)
    desk.send(draft)
    return desk.underwriter(f"{draft.path}/1:analyze", {})


def _question() -> dict[str, str]:
    due = datetime.now(UTC) + timedelta(days=3)
    return {"question": "Who else drives the car?", "dueTime": due.strftime("%Y-%m-%dT%H:%M:%SZ")}


REQUESTS: Final[dict[str, Make]] = {
    "QuoteService/CreateQuote": create,
    "QuoteService/UpdateQuote": update,
    "QuoteService/PriceQuote": price,
    "QuoteService/AcceptQuote": accept,
    "QuoteService/UnacceptQuote": unaccept,
    "QuoteService/WithdrawQuote": withdraw,
    "QuoteService/CloneQuote": clone,
    "QuoteService/AssignReferral": assign,
    "QuoteService/DecideReferral": decide,
    "QuoteService/RequestQuoteInformation": request_information,
    "QuoteService/ProvideQuoteInformation": provide_information,
    "ProductService/CreateProductVersion": create_version,
    "ProductService/PublishProductVersion": publish,
    "ProductService/WithdrawProductVersion": withdraw_version,
    "RateChangeService/AnalyzeRateChange": analyze,
}
