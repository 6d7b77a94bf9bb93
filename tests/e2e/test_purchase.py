"""A purchase from registration to cover in force, over HTTP and over gRPC, as one trace."""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import ParseDict

from bazaruto.payments.v1 import invoice_pb2, invoice_pb2_grpc, payment_pb2, payment_pb2_grpc
from bazaruto.policies.v1 import policy_pb2, policy_pb2_grpc
from bazaruto.quotes.v1 import quote_pb2, quote_pb2_grpc
from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc, user_pb2, user_pb2_grpc
from libs.cli import waterfall
from libs.cli.demo import RISK
from libs.stack import PROCESSES
from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")


def test_paying_the_first_invoice_puts_the_policy_in_force(buyer: Buyer) -> None:
    policy = buyer.issue()
    assert policy["state"] == "STATE_PENDING"
    payment = buyer.pay(buyer.invoice_of(policy))
    assert payment["state"] == "STATE_SUCCEEDED"
    assert buyer.in_force(policy)["policyNumber"] == policy["policyNumber"]


def test_policy_with_a_payment_method_is_collected_and_in_force_by_itself(buyer: Buyer) -> None:
    policy = buyer.issue(paymentMethod="pm_card_ok")
    buyer.in_force(policy)
    assert buyer.invoice_of(policy)["state"] == "STATE_PAID"


def test_declined_card_leaves_the_policy_pending_and_another_card_pays(buyer: Buyer) -> None:
    policy = buyer.issue()
    invoice = buyer.invoice_of(policy)
    path = f"/v1/invoices/{invoice['invoiceId']}:pay"
    refused = buyer.call(
        "POST", path, {"paymentMethod": "pm_card_declined"}, key=secrets.token_hex(16), accept=(400, 409)
    )
    assert refused["error"]["details"][0]["reason"] == "PAYMENT_DECLINED"
    assert buyer.call("GET", f"/v1/policies/{policy['policyId']}")["state"] == "STATE_PENDING"
    assert buyer.pay(invoice)["state"] == "STATE_SUCCEEDED"
    buyer.in_force(policy)


def test_card_that_needs_action_pays_after_the_confirmation(buyer: Buyer) -> None:
    policy = buyer.issue()
    payment = buyer.pay(buyer.invoice_of(policy), "pm_card_action")
    assert payment["state"] == "STATE_REQUIRES_ACTION"
    assert payment["actionUrl"]
    payment = buyer.call("POST", f"/v1/payments/{payment['paymentId']}:confirm", {})
    assert payment["state"] == "STATE_SUCCEEDED"
    buyer.in_force(policy)


def test_quote_becomes_bound_by_the_policy(buyer: Buyer) -> None:
    policy = buyer.issue()
    quote = buyer.wait(f"/v1/quotes/{policy['quoteId']}", lambda found: found["state"] == "STATE_BOUND")
    assert quote["policyId"] == policy["policyId"]


def test_monthly_plan_bills_a_twelfth_first(buyer: Buyer) -> None:
    policy = buyer.issue(planCode="monthly")
    buyer.invoice_of(policy)
    billing = buyer.call("GET", f"/v1/policies/{policy['policyId']}/billing")
    assert len(billing["installments"]) == 12
    assert [part["state"] for part in billing["installments"]] == ["STATE_INVOICED"] + ["STATE_PLANNED"] * 11


def test_one_trace_runs_through_every_process_and_log_of_a_purchase(platform: Platform, buyer: Buyer) -> None:
    policy = buyer.issue(paymentMethod="pm_card_ok")
    buyer.in_force(policy)
    wanted = {
        "gateway",
        "policies",
        "quotes",
        "payments",
        "policies-worker",
        "payments-worker",
    }
    deadline = time.monotonic() + 10
    while True:
        spans = waterfall.load(platform.folder / "spans", buyer.trace_id)
        seen = {span.component for span in spans}
        if wanted <= seen or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert wanted <= seen
    names = [span.name for span in spans]
    for name in (
        "bazaruto.quotes.v1.QuoteService/GetQuote",
        "job policies.open_billing",
        "bazaruto.payments.v1.InvoiceService/OpenBilling",
        "job payments.collect",
        "bazaruto.policies.v1.PolicyService/ActivatePolicy",
    ):
        assert name in names
    by_id = {span.span_id for span in spans}
    purchase = [span for span in spans if span.name == "bazaruto.policies.v1.PolicyService/IssuePolicy"]
    assert all(span.parent_id in by_id for span in purchase)
    for process in wanted:
        lines = [json.loads(line) for line in platform.log(process).splitlines() if buyer.trace_id in line]
        assert any(line.get("trace_id") == buyer.trace_id for line in lines), f"{process} logged nothing of it"


def test_trace_id_stands_in_the_answer_and_in_an_error(platform: Platform, buyer: Buyer) -> None:
    path = f"{platform.url}/v1/policies/pol_01m86535y1eaws2ywvkrpm6m62"
    trace_id = secrets.token_hex(16)
    answer = httpx.get(
        path,
        headers={"authorization": f"Bearer {buyer.token}", "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"},
    )
    assert answer.status_code == 404
    assert answer.headers["x-trace-id"] == trace_id
    assert trace_id in [detail.get("requestId") for detail in answer.json()["error"]["details"]]


def test_the_same_purchase_over_grpc_with_the_generated_stubs(platform: Platform) -> None:
    services = platform.settings.services
    email = f"{secrets.token_hex(8)}@example.com"
    channels = {name: grpc.insecure_channel(service.target) for name, service in services.items()}
    try:
        user_pb2_grpc.UserServiceStub(channels["users"]).RegisterUser(
            user_pb2.RegisterUserRequest(email=email, password="a long enough secret", full_name="Stub User")
        )
        tokens = auth_pb2_grpc.AuthServiceStub(channels["users"]).LogIn(
            auth_pb2.LogInRequest(email=email, password="a long enough secret")
        )

        def metadata() -> tuple[tuple[str, str], ...]:
            return (
                ("authorization", f"Bearer {tokens.access_token}"),
                ("idempotency-key", secrets.token_hex(16)),
            )

        quotes = quote_pb2_grpc.QuoteServiceStub(channels["quotes"])
        policies = policy_pb2_grpc.PolicyServiceStub(channels["policies"])
        risk = ParseDict(RISK, quote_pb2.Risk())
        quote = quotes.CreateQuote(quote_pb2.CreateQuoteRequest(risk=risk), metadata=metadata())
        quotes.AcceptQuote(quote_pb2.AcceptQuoteRequest(quote_id=quote.quote_id), metadata=metadata())
        policy = policies.IssuePolicy(policy_pb2.IssuePolicyRequest(quote_id=quote.quote_id), metadata=metadata())
        invoices = invoice_pb2_grpc.InvoiceServiceStub(channels["payments"])
        found: Any = []
        deadline = time.monotonic() + 30
        while not found and time.monotonic() < deadline:
            request = invoice_pb2.ListInvoicesRequest(policy_id=policy.policy_id)
            found = invoices.ListInvoices(request, metadata=metadata()).invoices
            time.sleep(0.1)
        payment_pb2_grpc.PaymentServiceStub(channels["payments"]).PayInvoice(
            payment_pb2.PayInvoiceRequest(invoice_id=found[0].invoice_id, payment_method="pm_card_ok"),
            metadata=metadata(),
        )
        watch = policies.WatchPolicy(
            policy_pb2.WatchPolicyRequest(policy_id=policy.policy_id), metadata=metadata(), timeout=30
        )
        assert any(seen.state == policy_pb2.Policy.STATE_IN_FORCE for seen in watch)
    finally:
        for channel in channels.values():
            channel.close()


def test_every_process_logs_one_json_object_a_line(platform: Platform, buyer: Buyer) -> None:
    buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
    fields = ("timestamp", "level", "message", "service", "component", "version")
    missing: dict[str, list[str]] = defaultdict(list)
    for process in PROCESSES:
        for line in platform.log(process.name).splitlines():
            entry = json.loads(line)
            missing[process.name] += [name for name in fields if name not in entry]
    assert not any(missing.values())
