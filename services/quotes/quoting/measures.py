"""What is counted of quotes, by product."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from libs.telemetry.metrics import DURATION_BUCKETS
from services.quotes.quoting.rules.quote import DECIDED, State
from services.quotes.quoting.rules.underwriting import Outcome

_OUTCOMES = {state: outcome for outcome, state in DECIDED.items()}

calculation_duration = Histogram(
    "bazaruto_quote_calculation_duration_seconds",
    "Time spent calculating quotes",
    ["product_type"],
    buckets=DURATION_BUCKETS,
)
quotes = Counter(
    "bazaruto_quotes_total", "Quotes made, by what the underwriting rules said", ["product_type", "outcome"]
)


def count(product_code: str, state: State) -> None:
    """Count a quote that the rules have decided on: once, when it is priced for the first time."""
    quotes.labels(product_code, _OUTCOMES[state].value).inc()


def begin_at_nought(product_code: str) -> None:
    """Show a product from the moment it is known, so that its first quote is an increase."""
    calculation_duration.labels(product_code)
    for outcome in Outcome:
        quotes.labels(product_code, outcome.value)
