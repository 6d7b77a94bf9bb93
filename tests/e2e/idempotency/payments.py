"""Requests to payments."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from libs import clock
from tests.e2e.idempotency.desk import Desk, Make, Request


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
    until = clock.now().date() + timedelta(days=10)
    body = {"untilDate": {"year": until.year, "month": until.month, "day": until.day}, "reason": "in hospital"}
    return desk.finance(f"/v1/delinquencies/{desk.delinquency()}:suspend", body)


def resume_delinquency(desk: Desk) -> Request:
    suspended = suspend_delinquency(desk)
    desk.send(suspended)
    return desk.finance(suspended.path.replace(":suspend", ":resume"), {})


def _path_of_method(desk: Desk) -> str:
    added = add_method(desk)
    return f"{added.path}/{desk.send(added)['paymentMethodId']}"


REQUESTS: Final[dict[str, Make]] = {
    "PaymentService/PayInvoice": pay,
    "PaymentService/ConfirmPayment": confirm,
    "BillingService/UpdateBillingAccount": update_account,
    "LedgerService/RunEarning": run_earning,
    "DelinquencyService/SuspendDelinquency": suspend_delinquency,
    "DelinquencyService/ResumeDelinquency": resume_delinquency,
    "PaymentMethodService/AddPaymentMethod": add_method,
    "PaymentMethodService/RemovePaymentMethod": remove_method,
    "PaymentMethodService/SetDefaultPaymentMethod": set_default_method,
}
