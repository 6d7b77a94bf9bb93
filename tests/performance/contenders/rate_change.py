"""Rating stored motor quotes again with the version that is on sale, over a database of its own.

`python -m …contenders.rate_change QUOTES` prints the CPU seconds that all of them took, and by how many MiB the process
grew from the first part of the work to the last one, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from uuid import UUID

import psycopg

from libs import clock, ids
from libs.config import DbSettings
from libs.db import Database
from services.quotes.catalogue.flows import publishing
from services.quotes.impact import jobs
from services.quotes.impact.kinds import Part
from services.quotes.impact.rules.impact import Impact
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.impact.store import rate_changes
from services.quotes.quoting.rules import revision
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.store import portfolio, quotes
from services.quotes.rating.rules.pricing import Risk
from tests.support import postgres
from tests.support.sections import section
from tests.unit.quotes.sold import ANSWERS, OBJECTS, calculator, newest

_DIFFERENT = 200  # quotes; the others are copies of them
_COPY = """
    INSERT INTO quotes SELECT copied.* FROM quotes CROSS JOIN generate_series(1, %s) AS copy
    CROSS JOIN LATERAL jsonb_populate_record(NULL::quotes,
        to_jsonb(quotes) || jsonb_build_object('id', gen_random_uuid(), 'number', number || '-' || copy)) AS copied
"""


def fill(database: Database, count: int) -> None:
    """Store quotes of many risks."""
    now = clock.now()
    user_id = ids.new()
    with database.transaction() as session:
        publishing.publish(session, now)
        for number in range(_DIFFERENT):
            varied = {"licence_years": number % 15, "annual_km": 500 * number, "garage": number % 2 == 0}
            risk = Risk({**ANSWERS["motor"], **varied}, (), None, OBJECTS["motor"])
            origin = Origin(ids.new(), f"B-{number:06d}", user_id, user_id)
            quotes.add(session, revision.create(calculator("motor").calculate(risk, now), now, origin))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(_COPY, (count // _DIFFERENT - 1,))


def analyze(database: Database) -> tuple[float, float]:
    """CPU seconds of rating all quotes again, and by how many MiB the process grew after the first part."""
    analysis_id = _begin(database)
    done, first = 0, 0
    started = time.process_time()
    while True:
        jobs.analyze(database, Part(analysis_id, done))
        first = first or _most_memory()
        with database.reading() as session:
            found = rate_changes.find(session, analysis_id)
        if found is None or found.is_done:
            break
        done = found.done
    return time.process_time() - started, (_most_memory() - first) / 1024


def _begin(database: Database) -> UUID:
    product, analysis_id = newest("motor"), ids.new()
    with database.transaction() as session:
        extent = portfolio.find_extent(session, product.code, only_bound=False)
        rate_changes.add(
            session,
            RateChange(
                id=analysis_id,
                product_code=product.code,
                version=product.version,
                only_bound=False,
                author_id=ids.new(),
                created_at=clock.now(),
                currency=product.currency,
                total=extent.quotes,
                last_id=extent.last_id,
                done=0,
                done_id=None,
                finished_at=None,
                impact=Impact(),
            ),
        )
    return analysis_id


def _most_memory() -> int:
    """The most KiB that the process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(count: int) -> None:
    """Fill a database and measure."""
    postgres.begin_run()
    try:
        database = Database(postgres.new_database("quotes"), section(DbSettings, max_connections=2), "bench-quotes")
        database.open()
        fill(database, count)
        seconds, grown = analyze(database)
        database.close()
    finally:
        postgres.end_run()
    sys.stdout.write(json.dumps({"seconds": seconds, "grown": grown}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
