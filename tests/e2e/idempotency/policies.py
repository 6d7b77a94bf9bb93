"""Requests to policies."""

from __future__ import annotations

import secrets
from typing import Final

from tests.e2e.idempotency.desk import Desk, Make, Request
from tests.e2e.idempotency.quotes import DEFINITION

RENEWAL: Final = "renewal: {offer_days: 365, auto: false, cover: in_grace, late_days: 30}\n"
"""What the product of the bicycle says of next terms: it is offered from the first day on."""


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


def reinstate(desk: Desk) -> Request:
    policy_id, _ = desk.lapsed()
    return desk.underwriter(f"/v1/policies/{policy_id}:reinstate", {"noLossStatement": "Nothing happened."})


def reverse(desk: Desk) -> Request:
    policy_id, transaction_id = desk.lapsed()
    path = f"/v1/policies/{policy_id}/transactions/{transaction_id}:reverse"
    return desk.admin(path, {"reason": "The transfer came in time."})


def decide(desk: Desk) -> Request:
    approval_id = desk.send(reverse(desk))["approvalId"]
    return desk.admin(f"/v1/policyApprovals/{approval_id}:decide", {"decision": "DECISION_APPROVE"}, second=True)


def transfer(desk: Desk) -> Request:
    path = f"/v1/policies/{desk.buyer.issue()['policyId']}:transfer"
    return desk.underwriter(path, {"customerId": desk.customer(), "consent": "Contract of sale, signed by both."})


def set_payer(desk: Desk) -> Request:
    buyer, payer = desk.buyer_with_a_firm
    path = f"/v1/policies/{buyer.issue()['policyId']}:setPayer"
    return Request(f"Bearer {buyer.token}", "POST", path, {"payerId": payer})


def cancel(desk: Desk) -> Request:
    policy_id = desk.buyer.issue()["policyId"]
    return desk.own(f"/v1/policies/{policy_id}:cancel", {"reason": "insured_request"})


def rescind_cancellation(desk: Desk) -> Request:
    policy_id = desk.buyer.in_force(desk.buyer.issue(paymentMethod="pm_card_ok"))["policyId"]
    body = {"reason": "insured_request"}
    desk.send(desk.own(f"/v1/policies/{policy_id}:cancel", body))
    return desk.own(f"/v1/policies/{policy_id}:rescindCancellation", {})


def set_renewal_preference(desk: Desk) -> Request:
    policy = desk.buyer.issue()
    body = {"preference": "RENEWAL_PREFERENCE_MANUAL"}
    return desk.own(f"/v1/policies/{policy['policyId']}:setRenewalPreference", body)


def renew(desk: Desk) -> Request:
    """The next term of a policy whose product offers it from the first day on; sold, offered and accepted before."""
    product = f"bicycle_{secrets.token_hex(4)}"
    drafts = f"/v1/products/{product}/versions"
    desk.send(desk.underwriter(drafts, {"definition": DEFINITION.format(code=product) + RENEWAL}))
    desk.send(desk.underwriter(f"{drafts}/1:publish", {}, second=True))
    risk = {"productCode": product, "answers": {"value": 800}}
    quote_id = desk.send(desk.own("/v1/quotes", {"risk": risk}))["quoteId"]
    desk.send(desk.own(f"/v1/quotes/{quote_id}:accept", {}))
    policy = desk.send(desk.own("/v1/policies", {"quoteId": quote_id}))
    desk.buyer.pay(desk.buyer.invoice_of(policy))
    desk.buyer.in_force(policy)
    path = f"/v1/policies/{policy['policyId']}"
    offer = desk.send(desk.own(f"{path}:quoteRenewal", {}))
    desk.send(desk.own(f"/v1/quotes/{offer['quoteId']}:accept", {}))
    return desk.own(f"{path}:renew", {"quoteId": offer["quoteId"]})


REQUESTS: Final[dict[str, Make]] = {
    "PolicyService/IssueEndorsement": endorse,
    "PolicyApprovalService/DecidePolicyApproval": decide,
    "PolicyService/IssuePolicy": issue,
    "PolicyService/ReinstatePolicy": reinstate,
    "PolicyService/ReversePolicyTransaction": reverse,
    "PolicyService/CancelPolicy": cancel,
    "PolicyService/RescindCancellation": rescind_cancellation,
    "PolicyService/SetBeneficiaries": set_beneficiaries,
    "PolicyService/SetPayer": set_payer,
    "PolicyService/TransferPolicy": transfer,
    "RenewalService/RenewPolicy": renew,
    "RenewalService/SetRenewalPreference": set_renewal_preference,
}
