"""What is counted of billing."""

from __future__ import annotations

from prometheus_client import Counter

from services.payments.billing.rules.delinquency import State
from services.payments.billing.rules.transaction import Transaction

returned = Counter(
    "bazaruto_premium_returned_minor_units_total",
    "Net premium that transactions of policies gave back, less what was kept of it",
    ["currency"],
)

delinquencies = Counter(
    "bazaruto_delinquencies_total", "Delinquencies of policies by the state that they came to", ["state"]
)
for _state in State:
    delinquencies.labels(_state.value)  # there from the start, so that the first one is an increase


def count_delinquency(state: State) -> None:
    """Count a delinquency that came to a state."""
    delinquencies.labels(state.value).inc()


def count_returned(change: Transaction) -> None:
    """Count the net premium that a transaction gives back; what is written is counted where policies are issued."""
    net = change.amounts.premium.net
    if net.minor < 0:
        returned.labels(net.currency).inc(-net.minor)
