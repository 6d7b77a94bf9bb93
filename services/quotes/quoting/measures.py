"""What is counted of quotes, by product."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from libs.telemetry.metrics import DURATION_BUCKETS
from services.quotes.quoting.rules.underwriting import Outcome

calculation_duration = Histogram(
    "bazaruto_quote_calculation_duration_seconds",
    "Time spent calculating quotes",
    ["product_type"],
    buckets=DURATION_BUCKETS,
)
quotes = Counter(
    "bazaruto_quotes_total", "Quotes made, by what the underwriting rules said", ["product_type", "outcome"]
)


def begin_at_nought(product_code: str) -> None:
    """Show a product from the moment it is known, so that its first quote is an increase."""
    calculation_duration.labels(product_code)
    for outcome in Outcome:
        quotes.labels(product_code, outcome.value)
