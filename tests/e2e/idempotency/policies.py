"""Requests to policies."""

from __future__ import annotations

from typing import Final

from tests.e2e.idempotency.desk import Desk, Make, Request


def issue(desk: Desk) -> Request:
    return desk.own("/v1/policies", {"quoteId": desk.accepted()})


def set_beneficiaries(desk: Desk) -> Request:
    path = f"/v1/policies/{desk.buyer.issue()['policyId']}/beneficiaries"
    return desk.own(path, {"beneficiaries": [{"name": "Teresa Macuácua", "shareBasisPoints": 10000}]}, "PUT")


REQUESTS: Final[dict[str, Make]] = {
    "PolicyService/IssuePolicy": issue,
    "PolicyService/SetBeneficiaries": set_beneficiaries,
}
