"""Change a policy over gRPC, and cancel it: `.venv/bin/python docs/examples/service_policy.py` beside `make run`.

It buys a policy, changes it from a later day, asks what a cancellation would pay back, cancels, and takes that back.
"""

from __future__ import annotations

import argparse
import secrets
import time
from datetime import UTC, datetime, timedelta

import grpc
from google.type import date_pb2, money_pb2

from bazaruto.policies.v1 import cancellation_pb2, endorsement_pb2, policy_pb2, policy_pb2_grpc
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


def euros(amount: money_pb2.Money) -> str:
    """An amount to be read."""
    return f"{amount.units + amount.nanos / 10**9:+.2f} {amount.currency_code}"


def day(days: int) -> date_pb2.Date:
    """The day that is so many days from today."""
    moment = datetime.now(UTC) + timedelta(days=days)
    return date_pb2.Date(year=moment.year, month=moment.month, day=moment.day)


def main() -> None:
    """Buy, change, look at what a cancellation would pay back, cancel, and rescind."""
    parser = argparse.ArgumentParser(description=__doc__)
    for service, port in (("users", 9001), ("quotes", 9002), ("policies", 9003), ("payments", 9004)):
        parser.add_argument(f"--{service}", default=f"127.0.0.1:{port}", metavar="ADDRESS")
    addresses = parser.parse_args()
    users = grpc.insecure_channel(addresses.users)
    quotes = quote_pb2_grpc.QuoteServiceStub(grpc.insecure_channel(addresses.quotes))
    policies = policy_pb2_grpc.PolicyServiceStub(grpc.insecure_channel(addresses.policies))

    token = ""

    def metadata() -> tuple[tuple[str, str], ...]:
        """Who calls, and a fresh idempotency key: a call that is repeated with its key is done once."""
        identity = (("authorization", f"Bearer {token}"),) if token else ()
        return (*identity, ("idempotency-key", secrets.token_hex(16)))

    email, password = f"{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(16)
    account = user_pb2.RegisterUserRequest(email=email, password=password, full_name="Ana")
    user_pb2_grpc.UserServiceStub(users).RegisterUser(account, metadata=metadata())
    log_in = auth_pb2.LogInRequest(email=email, password=password)
    token = auth_pb2_grpc.AuthServiceStub(users).LogIn(log_in, metadata=metadata()).access_token

    risk = quote_pb2.Risk(product_code="motor")
    risk.answers.update(ANSWERS)
    risk.objects.add(object_code="vehicle").fields.update(CAR)
    risk.objects.add(object_code="driver").fields.update(DRIVER)
    quote_id = quotes.CreateQuote(quote_pb2.CreateQuoteRequest(risk=risk), metadata=metadata()).quote_id
    quotes.AcceptQuote(quote_pb2.AcceptQuoteRequest(quote_id=quote_id), metadata=metadata())
    order = policy_pb2.IssuePolicyRequest(quote_id=quote_id, payment_method="pm_card_ok")
    policy = policies.IssuePolicy(order, metadata=metadata())
    watch = policy_pb2.WatchPolicyRequest(policy_id=policy.policy_id)
    for policy in policies.WatchPolicy(watch, metadata=metadata(), timeout=30):
        if policy.state == policy_pb2.Policy.STATE_IN_FORCE:
            break
    print(f"policy {policy.policy_number} is in force and costs {euros(policy.term.premium.total)}")

    change = endorsement_pb2.QuoteEndorsementRequest(policy_id=policy.policy_id, effective_date=day(60))
    change.answers.update({"annual_km": 20000})
    quoted = policies.QuoteEndorsement(change, metadata=metadata())
    print(f"20,000 kilometres a year, in 60 days: {euros(quoted.result.change.total)}")
    quotes.AcceptQuote(quote_pb2.AcceptQuoteRequest(quote_id=quoted.quote.quote_id), metadata=metadata())
    issue = endorsement_pb2.IssueEndorsementRequest(policy_id=policy.policy_id, quote_id=quoted.quote.quote_id)
    changed = policies.IssueEndorsement(issue, metadata=metadata())
    print(f"changed: the policy costs {euros(changed.policy.term.premium.total)}")

    cancel = cancellation_pb2.CancelPolicyRequest(policy_id=policy.policy_id, reason="vehicle_sold")
    cancel.effective_date.CopyFrom(day(90))
    cancel.validate_only = True
    while (preview := policies.CancelPolicy(cancel, metadata=metadata())).billing_pending:
        time.sleep(0.1)  # what was changed is told to payments by a job, and is not billed yet
    print(f"sold in 90 days: {euros(preview.change.total)}, to be paid back {euros(preview.refund)}")
    cancel.validate_only = False
    cancelled = policies.CancelPolicy(cancel, metadata=metadata())
    print(f"cancelled: {[policy_pb2.Policy.Flag.Name(flag) for flag in cancelled.policy.flags]}")
    rescind = cancellation_pb2.RescindCancellationRequest(policy_id=policy.policy_id)
    rescinded = policies.RescindCancellation(rescind, metadata=metadata())
    print(f"rescinded: {euros(rescinded.change.total)}; the policy costs {euros(rescinded.policy.term.premium.total)}")


if __name__ == "__main__":
    main()
