"""`bazarutod products impact`: what a product file does to the prices of the quotes that there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bazarutod.products import tables
from libs import ids
from libs.config import Settings
from libs.db import Database, DatabaseUnavailable
from libs.money import Money
from services.quotes.catalogue.flows.publishing import read_file
from services.quotes.catalogue.rules.definition import DefinitionError
from services.quotes.catalogue.rules.product import Product
from services.quotes.impact.flows.rating_again import rate_again
from services.quotes.impact.rules.impact import Change, Impact, ends_of
from services.quotes.quoting.rules.calculation import compile_calculator
from services.quotes.quoting.store import portfolio

_AT_ONCE = 2000  # quotes that are in memory at a time


def run(file: Path, settings: Settings, url: str, *, only_bound: bool, as_json: bool) -> None:
    """Rate all quotes of the product, and print what was found."""
    try:
        product, _ = read_file(file)
    except DefinitionError as error:
        sys.exit(str(error))
    try:
        # That such a read is slow is no news, and the log would stand among what is printed.
        quiet = settings.db.model_copy(update={"slow_query": timedelta.max})
        database = Database(url or settings.services["quotes"].db_url, quiet, "bazarutod-products")
        database.open()
    except ValueError as error:
        sys.exit(f"database: {error}")
    try:
        impact = _rate(database, product, only_bound)
    except DatabaseUnavailable:
        sys.exit("the database of quotes does not answer")
    finally:
        database.close()
    report = _report(impact, product)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        Console(highlight=False).print(tables.impact(report))


def _rate(database: Database, product: Product, only_bound: bool) -> Impact:
    calculator, impact, after = compile_calculator(product), Impact(), None
    with database.reading() as session:
        extent = portfolio.find_extent(session, product.code, only_bound=only_bound)
    with _progress(extent.quotes) as advance:
        while extent.last_id is not None:
            with database.reading() as session:
                quotes = portfolio.list_priced(
                    session,
                    product.code,
                    only_bound=only_bound,
                    after=after,
                    last_id=extent.last_id,
                    limit=_AT_ONCE,
                )
            rate_again(impact, calculator, quotes)
            advance(len(quotes))
            if len(quotes) < _AT_ONCE:
                break
            after = quotes[-1].id
    return impact


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal, on the side of errors: what is printed stays what was found."""
    console = Console(stderr=True)
    columns = (TextColumn("rating quotes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


def _report(impact: Impact, product: Product) -> dict[str, Any]:
    """What was found, in JSON: amounts are text in the currency that stands beside."""

    def amount(minor: int) -> str:
        return str(Money(minor, product.currency)).split()[0]

    def change(one: Change) -> dict[str, Any]:
        quote_id = ids.encode("quo", one.quote_id)
        return {"quote_id": quote_id, "number": one.number, "old_total": amount(one.old), "new_total": amount(one.new)}

    return {
        "product": product.code,
        "version": product.version,
        "currency": product.currency,
        "quotes": impact.seen,
        "rated": sum(impact.buckets.values()),
        "old_total": amount(impact.old_total),
        "new_total": amount(impact.new_total),
        "buckets": [
            {**dict(zip(("from_percent", "to_percent"), ends_of(bucket), strict=True)), "quotes": count}
            for bucket, count in sorted(impact.buckets.items())
        ],
        "factors": [
            {
                "name": name,
                "quotes": factor.risks,
                "old_amount": amount(factor.old),
                "new_amount": amount(factor.new),
                "change": amount(factor.new - factor.old),
            }
            for name, factor in impact.factors.items()
        ],
        "largest_increases": [change(one) for one in impact.increases],
        "largest_decreases": [change(one) for one in impact.decreases],
        "decisions": [
            {"before": before.value, "after": after.value, "quotes": count}
            for (before, after), count in sorted(impact.decisions.items())
        ],
        "rules": [
            {"rule": code, "decision": outcome.value, "quotes": count}
            for (code, outcome), count in impact.rules.most_common()
        ],
        "unrated": [
            {"reason": cause.reason, "about": cause.about, "quotes": count}
            for cause, count in impact.unrated.most_common()
        ],
    }
