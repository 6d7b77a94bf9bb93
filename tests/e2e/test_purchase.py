"""A purchase from registration to cover in force, over HTTP and over gRPC, as one trace."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from bazarutod.stack import PROCESSES
from tests.support.admins import PASSWORD, admin_headers, make_admin
from tests.support.buyer import Buyer
from tests.support.platform import Platform
from tests.support.traces import spans_of

pytestmark = pytest.mark.xdist_group("platform")

ROOT = Path(__file__).parents[2]


def test_paying_the_first_invoice_puts_the_policy_in_force(buyer: Buyer) -> None:
    policy = buyer.issue()
    assert policy["state"] == "STATE_PENDING"
    payment = buyer.pay(buyer.invoice_of(policy))
    assert payment["state"] == "STATE_SUCCEEDED"
    assert buyer.in_force(policy)["policyNumber"] == policy["policyNumber"]


def test_partner_of_a_customer_serves_their_policies_and_accounts_too(platform: Platform, buyer: Buyer) -> None:
    policy = buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        admin = Buyer(http, admin_headers(platform.environment, http)["authorization"].removeprefix("Bearer "))
        broker = {"partner": {"kind": "KIND_BROKER", "name": "Indico", "email": "geral@example.com"}}
        partner_id = admin.call("POST", "/v1/partners", broker, key=secrets.token_hex(16))["partnerId"]
        path = f"/v1/customers/{policy['customerId']}:assignPartner"
        admin.call("POST", path, {"partnerId": partner_id}, key=secrets.token_hex(16))
        path = f"/v1/policies/{policy['policyId']}"
        buyer.wait(path, lambda resource: resource["partnerId"] == partner_id)
        account = f"/v1/billingAccounts/{policy['policyId'].replace('pol_', 'bac_')}"
        buyer.wait(account, lambda resource: resource["partnerId"] == partner_id)
    stack = buyer.call("GET", f"{path}/transactions")["transactions"]
    assert [item["type"] for item in stack] == ["TYPE_NEW_BUSINESS", "TYPE_ACTIVATION", "TYPE_SERVICING"]
    assert stack[-1]["reason"] == "partner"
    assert buyer.call("GET", path)["state"] == "STATE_IN_FORCE"


def test_operator_sees_a_policy_as_a_picture(platform: Platform, buyer: Buyer) -> None:
    number = buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))["policyNumber"]
    operator = ["--email", make_admin(platform.environment), "--password", PASSWORD, "--gateway", platform.url]
    command = [sys.executable, "-m", "bazarutod", "policy", "show", number, *operator]
    shown = subprocess.run(command, env=platform.environment, capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 0, shown.stderr
    assert f"{number}  motor  in force" in shown.stdout
    assert "█" in shown.stdout
    assert "activation" in shown.stdout
    assert "written" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    unknown = subprocess.run(
        [*command[:5], "MOT-1999-000001", *operator],
        env=platform.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "There is no policy MOT-1999-000001" in unknown.stderr


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
    quote = buyer.wait(f"/v1/quotes/{policy['quoteId']}", lambda resource: resource["state"] == "STATE_BOUND")
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
    processes = {
        "gateway",
        "policies",
        "quotes",
        "payments",
        "policies-worker",
        "payments-worker",
    }
    names = {
        "bazaruto.quotes.v1.QuoteService/GetQuote",
        "job policies.apply_transaction",
        "bazaruto.payments.v1.BillingService/ApplyPolicyTransaction",
        "job payments.collect",
        "job payments.confirm_premium",
        "bazaruto.policies.v1.PolicyService/ActivatePolicy",
    }
    spans_of(platform, buyer.trace_id, names | processes)
    logged = {process: _logged_spans(platform, process, buyer.trace_id) for process in processes}
    assert all(logged.values()), logged
    spans = spans_of(platform, buyer.trace_id, set[str]().union(*logged.values()))
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    for process, span_ids in logged.items():
        assert {by_id[span_id].component for span_id in span_ids} == {process}
    orphans = [span for span in spans if span.parent_id not in by_id]
    assert {span.component for span in orphans} == {"gateway"}  # their parents are the customer's own
    purchase = [span for span in spans if span.name == "bazaruto.policies.v1.PolicyService/IssuePolicy"]
    assert {by_id[span.parent_id].component for span in purchase} == {"gateway"}


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
    addresses = [f"--{name}={service.target}" for name, service in platform.settings.services.items()]
    printed = _run([sys.executable, str(ROOT / "docs/examples/purchase.py"), *addresses])
    assert "STATE_PENDING" in printed
    assert "STATE_IN_FORCE" in printed


def test_policy_is_changed_and_cancelled_over_grpc_with_the_generated_stubs(platform: Platform) -> None:
    addresses = [f"--{name}={service.target}" for name, service in platform.settings.services.items()]
    printed = _run([sys.executable, str(ROOT / "docs/examples/service_policy.py"), *addresses])
    assert "FLAG_CANCEL_PENDING" in printed
    changed, rescinded = (line for line in printed.splitlines() if line.startswith(("changed", "rescinded")))
    assert changed.partition("costs ")[2] == rescinded.partition("costs ")[2]


def test_demo_buys_a_policy_and_prints_the_waterfall(platform: Platform) -> None:
    printed = _run([bazarutod(), "demo", "--gateway", platform.url, "--folder", str(platform.folder)])
    assert "is in force" in printed
    assert "PolicyService/IssuePolicy" in printed


def test_trace_that_is_not_kept_is_said_so(platform: Platform) -> None:
    command = [bazarutod(), "trace", "0" * 31 + "1", "--folder", str(platform.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "No span of" in done.stderr


def test_every_process_logs_one_json_object_a_line(platform: Platform, buyer: Buyer) -> None:
    buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
    fields = ("timestamp", "level", "message", "service", "component", "version")
    missing: dict[str, list[str]] = defaultdict(list)
    for process in PROCESSES:
        for line in platform.log(process.name).splitlines():
            entry = json.loads(line)
            missing[process.name] += [name for name in fields if name not in entry]
    assert not any(missing.values())


def bazarutod() -> str:
    """The command, as it is installed beside the interpreter."""
    return str(Path(sys.executable).with_name("bazarutod"))


def _logged_spans(platform: Platform, process: str, trace_id: str) -> set[str]:
    """The spans of a trace within which a process has logged something."""
    lines = [json.loads(line) for line in platform.log(process).splitlines() if trace_id in line]
    return {line["span_id"] for line in lines if line.get("trace_id") == trace_id}


def _run(command: list[str], **variables: str) -> str:
    environment = {**os.environ, **variables, "COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
