"""Requests to payments."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from libs import clock
from tests.e2e.idempotency.desk import Desk, Make, Request
from tests.support.waiting import until


def pay(desk: Desk) -> Request:
    invoice = desk.buyer.invoice_of(desk.buyer.issue())
    return desk.own(f"/v1/invoices/{invoice['invoiceId']}:pay", {"paymentMethod": "pm_card_ok"})


def confirm(desk: Desk) -> Request:
    payment = desk.buyer.pay(desk.buyer.invoice_of(desk.buyer.issue()), "pm_card_action")
    return desk.own(f"/v1/payments/{payment['paymentId']}:confirm", {})


def add_method(desk: Desk) -> Request:
    body = {"token": "pm_card_ok", "displayName": secrets.token_hex(4), "mandateText": "You may collect."}
    return desk.own("/v1/paymentMethods", body)


def remove_method(desk: Desk) -> Request:
    return desk.own(_path_of_method(desk), {}, "DELETE")


def set_default_method(desk: Desk) -> Request:
    return desk.own(f"{_path_of_method(desk)}:setDefault", {})


def update_account(desk: Desk) -> Request:
    policy = desk.buyer.issue()
    desk.buyer.invoice_of(policy)  # with it, the account is there
    account_id = policy["policyId"].replace("pol_", "bac_")
    return desk.own(f"/v1/billingAccounts/{account_id}", {"dueDay": 15}, "PATCH")


def run_earning(desk: Desk) -> Request:
    return desk.admin(f"/v1/ledger/periods/{1000 + secrets.randbelow(1000)}-01:earn", {})


def suspend_delinquency(desk: Desk) -> Request:
    day = clock.now().date() + timedelta(days=10)
    body = {"untilDate": {"year": day.year, "month": day.month, "day": day.day}, "reason": "in hospital"}
    return desk.finance(f"/v1/delinquencies/{desk.delinquency()}:suspend", body)


def resume_delinquency(desk: Desk) -> Request:
    suspended = suspend_delinquency(desk)
    desk.send(suspended)
    return desk.finance(suspended.path.replace(":suspend", ":resume"), {})


def create_refund(desk: Desk) -> Request:
    return desk.own(f"/v1/billingAccounts/{_with_credit(desk)}/refunds", _ONE_EURO)


def approve_refund(desk: Desk) -> Request:
    return desk.finance(f"/v1/refunds/{desk.send(create_refund(desk))['refundId']}:approve", {})


def reject_refund(desk: Desk) -> Request:
    path = f"/v1/refunds/{desk.send(create_refund(desk))['refundId']}:reject"
    return desk.finance(path, {"note": "was asked for twice"})


def retry_refund(desk: Desk) -> Request:
    account_id = _with_credit(desk, "pm_card_refund_declined")
    made = desk.send(desk.finance(f"/v1/billingAccounts/{account_id}/refunds", _ONE_EURO))
    path = f"/v1/refunds/{made['refundId']}"
    until(lambda: desk.buyer.call("GET", path)["state"] == "STATE_FAILED")
    return desk.finance(f"{path}:retry", {})


def _with_credit(desk: Desk, card: str = "pm_card_ok") -> str:
    """The billing account of a policy that was paid, and then made cheaper."""
    policy = desk.buyer.issue()
    desk.buyer.pay(desk.buyer.invoice_of(policy), card)
    desk.buyer.in_force(policy)
    change = {"effectiveDate": policy["term"]["startDate"], "answers": {"annual_km": 5000}}
    quote = desk.send(desk.own(f"/v1/policies/{policy['policyId']}:quoteEndorsement", change))["quote"]
    desk.send(desk.own(f"/v1/quotes/{quote['quoteId']}:accept", {}))
    desk.send(desk.own(f"/v1/policies/{policy['policyId']}:endorse", {"quoteId": quote["quoteId"]}))
    account_id = str(policy["policyId"]).replace("pol_", "bac_")
    until(lambda: int(desk.buyer.call("GET", f"/v1/billingAccounts/{account_id}")["credit"]["units"]) >= 1)
    return account_id


_ONE_EURO: Final = {"amount": {"currencyCode": "EUR", "units": "1"}}


def _path_of_method(desk: Desk) -> str:
    added = add_method(desk)
    return f"{added.path}/{desk.send(added)['paymentMethodId']}"


REQUESTS: Final[dict[str, Make]] = {
    "PaymentService/PayInvoice": pay,
    "PaymentService/ConfirmPayment": confirm,
    "BillingService/UpdateBillingAccount": update_account,
    "RefundService/CreateRefund": create_refund,
    "RefundService/ApproveRefund": approve_refund,
    "RefundService/RejectRefund": reject_refund,
    "RefundService/RetryRefund": retry_refund,
    "LedgerService/RunEarning": run_earning,
    "DelinquencyService/SuspendDelinquency": suspend_delinquency,
    "DelinquencyService/ResumeDelinquency": resume_delinquency,
    "PaymentMethodService/AddPaymentMethod": add_method,
    "PaymentMethodService/RemovePaymentMethod": remove_method,
    "PaymentMethodService/SetDefaultPaymentMethod": set_default_method,
}
