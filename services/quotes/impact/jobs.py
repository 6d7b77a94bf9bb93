"""Rating quotes again in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from dataclasses import replace

import structlog

from libs import clock
from libs.db import Database
from libs.jobs import JobRunner, defer, required
from services.quotes.catalogue.flows.drafting import find_product
from services.quotes.impact.flows.rating_again import rate_again
from services.quotes.impact.kinds import ANALYZE_RATE_CHANGE, Part
from services.quotes.impact.store import rate_changes
from services.quotes.quoting.rules.calculation import compile_calculator
from services.quotes.quoting.store import portfolio

log = structlog.get_logger("quotes")

_AT_ONCE = 2000  # quotes of one part: half a second, and a few megabytes


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do."""
    runner.handle(ANALYZE_RATE_CHANGE, lambda part: analyze(database, part))


def analyze(database: Database, part: Part) -> None:
    """Rate the next quotes of an analysis; what was found, and the job for what comes after, are saved together.

    After a crash the job is tried again, and rates them again: nothing of them had been saved. One that comes after its
    part was saved finds that more is done than when it was deferred.
    """
    with database.reading(fresh=True) as session:
        rate_change = required(rate_changes.find(session, part.rate_change_id), "rate change", part.rate_change_id)
        if rate_change.done != part.done or rate_change.last_id is None:
            return
        product = required(
            find_product(session, rate_change.product_code, rate_change.version),
            "product version of",
            part.rate_change_id,
        )
        quotes = portfolio.list_priced(
            session,
            rate_change.product_code,
            only_bound=rate_change.only_bound,
            after=rate_change.done_id,
            last_id=rate_change.last_id,
            limit=_AT_ONCE,
        )
    rate_again(rate_change.impact, compile_calculator(product), quotes)
    is_last = len(quotes) < _AT_ONCE
    advanced = replace(
        rate_change,
        done=rate_change.done + len(quotes),
        done_id=quotes[-1].id if quotes else rate_change.done_id,
        finished_at=clock.now() if is_last else None,
    )
    with database.transaction() as session:
        stored = rate_changes.lock(session, rate_change.id)
        if stored is None or stored.is_done or stored.done != rate_change.done:
            return
        rate_changes.save(session, advanced)
        if not is_last:
            defer(session, ANALYZE_RATE_CHANGE, Part(rate_change.id, advanced.done))
    if is_last:
        log.info(
            "rate change analyzed", product=rate_change.product_code, version=rate_change.version, quotes=advanced.done
        )
