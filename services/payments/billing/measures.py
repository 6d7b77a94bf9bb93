"""What is counted of billing."""

from __future__ import annotations

from prometheus_client import Counter

from services.payments.billing.rules.transaction import Transaction

returned = Counter(
    "bazaruto_premium_returned_minor_units_total",
    "Net premium that transactions of policies gave back, less what was kept of it",
    ["currency"],
)


def count_returned(change: Transaction) -> None:
    """Count the net premium that a transaction gives back; what is written is counted where policies are issued."""
    net = change.amounts.premium.net
    if net.minor < 0:
        returned.labels(net.currency).inc(-net.minor)
