"""What is counted of policies."""

from __future__ import annotations

from prometheus_client import Counter

from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.policy import Policy

issued = Counter("bazaruto_policies_issued_total", "Policies issued", ["product_type"])
activated = Counter("bazaruto_policies_activated_total", "Policies put in force", ["product_type"])
written = Counter("bazaruto_premium_written_minor_units_total", "Net premium of issued policies", ["currency"])


def count_issued(policy: Policy) -> None:
    """Count an issued policy and its premium."""
    term = policy.terms[0]
    net = premium_of(term.lines(), term.currency).net
    issued.labels(policy.product_code).inc()
    written.labels(net.currency).inc(net.minor)
