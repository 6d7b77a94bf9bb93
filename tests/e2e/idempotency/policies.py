"""Requests to policies."""

from __future__ import annotations

from typing import Final

from tests.e2e.idempotency.desk import Desk, Make, Request


def issue(desk: Desk) -> Request:
    return desk.own("/v1/policies", {"quoteId": desk.accepted()})


def endorse(desk: Desk) -> Request:
    policy = desk.buyer.issue()
    desk.buyer.pay(desk.buyer.invoice_of(policy))
    desk.buyer.in_force(policy)
    change = {"effectiveDate": policy["term"]["startDate"], "answers": {"annual_km": 20000}}
    quote = desk.send(desk.own(f"/v1/policies/{policy['policyId']}:quoteEndorsement", change))["quote"]
    desk.send(desk.own(f"/v1/quotes/{quote['quoteId']}:accept", {}))
    return desk.own(f"/v1/policies/{policy['policyId']}:endorse", {"quoteId": quote["quoteId"]})


def set_beneficiaries(desk: Desk) -> Request:
    path = f"/v1/policies/{desk.buyer.issue()['policyId']}/beneficiaries"
    return desk.own(path, {"beneficiaries": [{"name": "Teresa Macuácua", "shareBasisPoints": 10000}]}, "PUT")


REQUESTS: Final[dict[str, Make]] = {
    "PolicyService/IssueEndorsement": endorse,
    "PolicyService/IssuePolicy": issue,
    "PolicyService/SetBeneficiaries": set_beneficiaries,
}
