"""What is counted of payments."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from services.payments.billing.rules.reconciling import Kind
from services.payments.billing.rules.refund import Part, PartState
from services.payments.collection.rules.payment import Payment, State

outcomes = Counter("bazaruto_payments_total", "Payments by what became of them", ["outcome"])
for _state in State:
    outcomes.labels(_state.value)  # there from the start, so that the first one is an increase
collected = Counter("bazaruto_payments_collected_minor_units_total", "Money collected by payments", ["currency"])
refunds = Counter("bazaruto_refunds_total", "Parts of refunds by what became of them", ["outcome"])
for _end in (PartState.SUCCEEDED, PartState.FAILED):
    refunds.labels(_end.value)
refunded = Counter("bazaruto_refunds_paid_minor_units_total", "Money paid back by refunds", ["currency"])
finality = Histogram(
    "bazaruto_payment_finality_seconds",
    "Time from the beginning of a payment to its end, by whom it waited for last",
    ["waited_for"],
    buckets=(0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600, 86400),
)
# How long a payer takes to act is no measure of the platform or of its provider.
_WAITED_FOR = {State.PROCESSING: "provider", State.REQUIRES_ACTION: "payer"}
for _whom in _WAITED_FOR.values():
    finality.labels(_whom)
oldest_open = Gauge(
    "bazaruto_payments_oldest_open_seconds",
    "How long the oldest payment has been in a state that is no end; 0 when none is",
    ["state"],
    multiprocess_mode="mostrecent",
)

oldest_refund = Gauge(
    "bazaruto_refunds_oldest_sent_seconds",
    "How long ago the oldest refund was sent whose end is not known; 0 when there is none",
    multiprocess_mode="mostrecent",
)

_differences = Gauge(
    "bazaruto_reconciliation_differences",
    "Things about which policies, billing and the ledger do not agree",
    ["kind"],
    multiprocess_mode="mostrecent",
)


def show_differences(counts: dict[str, int]) -> None:
    """Show how many differences there are of each kind."""
    for kind in Kind:
        _differences.labels(kind.value).set(counts.get(kind.value, 0))


def count(before: Payment, after: Payment) -> None:
    """Count what became of a payment."""
    outcomes.labels(after.state.value).inc()
    if after.completed_at:
        seconds = (after.completed_at - after.created_at).total_seconds()
        finality.labels(_WAITED_FOR[before.state]).observe(max(seconds, 0))  # two clocks may differ
    if after.state is State.SUCCEEDED:
        collected.labels(after.amount.currency).inc(after.amount.minor)


def count_refund(part: Part) -> None:
    """Count what became of a part of a refund."""
    refunds.labels(part.state.value).inc()
    if part.state is PartState.SUCCEEDED:
        refunded.labels(part.amount.currency).inc(part.amount.minor)
