"""How long payments stay open, and where the services do not agree, shown to whoever watches the platform.

The worker shows it, when its metrics are read: one query a scrape, however many servers there are. Several workers
look at the same table and show the same, so the largest counts, not the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from libs import clock
from libs.db import Database
from libs.errors import DomainError
from libs.rpc.shared import SharedLook
from libs.telemetry import metrics
from services.payments.billing.store import differences, refunds
from services.payments.collection import measures
from services.payments.collection.rules.payment import OPEN
from services.payments.collection.store import payments

_PATIENCE = 1.5  # seconds; a page of metrics does not wait for a database that hangs

log = structlog.get_logger("payments")


@contextmanager
def shown(database: Database) -> Iterator[None]:
    """Within, each page of metrics tells how old the oldest open payment is, and how many differences there are."""
    look = SharedLook(lambda: _observe(database, clock.now()), "watching")

    def refresh() -> None:
        try:
            look.run(_PATIENCE)
        except DomainError as error:  # what was shown last stays: a payment does not end by not being looked at
            log.warning("open payments cannot be looked at", error=error.message)

    metrics.before_page(refresh)
    try:
        yield
    finally:
        metrics.not_before_page(refresh)
        look.stop()


def _observe(database: Database, now: datetime) -> None:
    with database.reading(fresh=True) as session:
        oldest = payments.find_oldest_open(session)
        measures.show_differences(differences.find_counts(session))
        refund_sent_at = refunds.find_oldest_sent(session) or now
    measures.oldest_refund.set(max((now - refund_sent_at).total_seconds(), 0))
    for state in OPEN:
        start = oldest.get(state, now)
        measures.oldest_open.labels(state.value).set(max((now - start).total_seconds(), 0))
