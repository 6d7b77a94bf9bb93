"""Buy a policy over gRPC with the generated stubs: `.venv/bin/python docs/examples/purchase.py` beside `make run`."""

from __future__ import annotations

import argparse
import secrets
import time

import grpc

from bazaruto.payments.v1 import invoice_pb2, invoice_pb2_grpc, payment_pb2, payment_pb2_grpc
from bazaruto.policies.v1 import policy_pb2, policy_pb2_grpc
from bazaruto.quotes.v1 import quote_pb2, quote_pb2_grpc
from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc, user_pb2, user_pb2_grpc

ANSWERS: dict[str, bool | float | str] = {
    "licence_years": 12,
    "annual_km": 12000,
    "region": "lisbon",
    "use": "private",
    "claims_5_years": 0,
    "claim_free_years": 6,
    "garage": True,
    "telematics": False,
}
CAR: dict[str, float | str] = {
    "plate": "-".join(secrets.token_hex(1).upper() for _ in range(3)),
    "vin": "VF1RJA00012345678",
    "model": "Renault Clio",
    "first_registered": "2023-05-02",
    "value": "18000.00",
    "engine_power": 85,
}
DRIVER = {"name": "Ana", "date_of_birth": "1992-03-14"}


def main() -> None:
    """Register, log in, quote, accept, issue, pay, and follow the policy until it is in force."""
    parser = argparse.ArgumentParser(description=__doc__)
    for service, port in (("users", 9001), ("quotes", 9002), ("policies", 9003), ("payments", 9004)):
        parser.add_argument(f"--{service}", default=f"127.0.0.1:{port}", metavar="ADDRESS")
    addresses = parser.parse_args()
    users, quotes, policies, payments = (
        grpc.insecure_channel(address)
        for address in (addresses.users, addresses.quotes, addresses.policies, addresses.payments)
    )
    email, password = f"{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(16)
    trace_id = secrets.token_hex(16)
    token = ""

    def metadata() -> tuple[tuple[str, str], ...]:
        """Who calls, a fresh idempotency key, and the one trace of this purchase."""
        identity = (("authorization", f"Bearer {token}"),) if token else ()
        return (
            *identity,
            ("idempotency-key", secrets.token_hex(16)),
            ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01"),
        )

    user_pb2_grpc.UserServiceStub(users).RegisterUser(
        user_pb2.RegisterUserRequest(email=email, password=password, full_name="Ana"), metadata=metadata()
    )
    log_in = auth_pb2.LogInRequest(email=email, password=password)
    token = auth_pb2_grpc.AuthServiceStub(users).LogIn(log_in, metadata=metadata()).access_token

    quote_service = quote_pb2_grpc.QuoteServiceStub(quotes)
    risk = quote_pb2.Risk(product_code="motor")
    risk.answers.update(ANSWERS)
    risk.objects.add(object_code="vehicle").fields.update(CAR)
    risk.objects.add(object_code="driver").fields.update(DRIVER)
    quote = quote_service.CreateQuote(quote_pb2.CreateQuoteRequest(risk=risk), metadata=metadata())
    print(f"quote {quote.quote_number}: {quote.premium.total.units} {quote.premium.total.currency_code} a year")
    quote_service.AcceptQuote(quote_pb2.AcceptQuoteRequest(quote_id=quote.quote_id), metadata=metadata())

    policy_service = policy_pb2_grpc.PolicyServiceStub(policies)
    policy = policy_service.IssuePolicy(policy_pb2.IssuePolicyRequest(quote_id=quote.quote_id), metadata=metadata())
    invoice_service = invoice_pb2_grpc.InvoiceServiceStub(payments)
    unpaid = invoice_pb2.ListInvoicesRequest(policy_id=policy.policy_id)
    while not (invoices := invoice_service.ListInvoices(unpaid, metadata=metadata()).invoices):
        time.sleep(0.1)
    pay = payment_pb2.PayInvoiceRequest(invoice_id=invoices[0].invoice_id, payment_method="pm_card_ok")
    payment_pb2_grpc.PaymentServiceStub(payments).PayInvoice(pay, metadata=metadata())

    watch = policy_service.WatchPolicy(
        policy_pb2.WatchPolicyRequest(policy_id=policy.policy_id), metadata=metadata(), timeout=30
    )
    for policy in watch:
        print(f"policy {policy.policy_number}: {policy_pb2.Policy.State.Name(policy.state)}")
        if policy.state == policy_pb2.Policy.STATE_IN_FORCE:
            insured = ", ".join(item.identifier for item in policy.objects if item.identifier)
            print(f"{insured}: covered from {policy.cover_start_time.ToJsonString()}")
            break
    print(f"trace {trace_id}")


if __name__ == "__main__":
    main()
