"""Offering next terms in a night, over a policies database of its own; what quotes answers is at hand.

`python -m …contenders.offers POLICIES` prints what `nights` prints. The policies are copies of one, whose term is over
in twenty days by the clock of the process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg

from libs import clock, ids
from libs.config import DbSettings
from libs.db import Database
from libs.identity.scopes import NOTHING
from libs.jobs import JobRunner, nightly
from libs.jobs.nightly import Run
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from services.policies.clients import Payments, Quotes
from services.policies.lifecycle import jobs
from services.policies.lifecycle.flows import activating, issuing
from services.policies.lifecycle.kinds import OFFER_RENEWALS
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules, RenewalRule
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.renewal import Offer, days_of_next
from services.policies.lifecycle.rules.term import Risk
from tests.performance import callers
from tests.performance.contenders.nights import carry_out
from tests.support import postgres
from tests.support.sections import section

_OWNERS = 100
_AHEAD = timedelta(days=345)
_ZONE = "Africa/Maputo"
_OFFER_DAYS = 30
_NOBODY = "bench"


class AtHand(Quotes):
    """The quotes service, which has priced every next term before it is asked."""

    def __init__(self) -> None:
        """It has no channel."""

    def get_product_rules(self, product_code: str, version: int) -> ProductRules:
        """Every product says the same."""
        return ProductRules(
            product_code, version, (), (), renewal=RenewalRule(_OFFER_DAYS, is_automatic=True, covers_in_grace=True)
        )

    def quote_next_term(self, policy: Policy, risk: Risk, sequence: int, key: Any, quote_id: UUID) -> Offer:
        """The next term, for 1404.00 again."""
        starts_on, ends_on = days_of_next(policy)
        premium, lines = _price(starts_on, ends_on)
        return Offer(ids.new(), "quoted", 1, starts_on, ends_on, premium, lines, clock.now() + timedelta(days=60))


class Registered:
    """A runner that keeps the runs that it is told of, and carries out none."""

    def __init__(self) -> None:
        self.runs: dict[str, Run[Any]] = {}

    def nightly(self, _: Database, run: Run[Any]) -> None:
        self.runs[run.kind.name] = run

    def ignore(self, *_: Any, **__: Any) -> None:
        """What is no nightly run."""

    daily = handle = every = ignore


def _price(starts_on: date, ends_on: date) -> tuple[Premium, tuple[ChargeLine, ...]]:
    amounts = {"liability": 90_000, "collision": 30_000}
    lines = [
        ChargeLine(LineKind.PREMIUM, Money(amount, "EUR"), starts_on, ends_on, code, "", "vehicle_1")
        for code, amount in amounts.items()
    ]
    lines.append(ChargeLine(LineKind.TAX, Money(20_400, "EUR"), starts_on, starts_on, "", "premium_tax"))
    return Premium.of_minor(120_000, 20_400, 0, "EUR"), tuple(lines)


def fill(database: Database, count: int) -> None:
    """Make policies in force: one as it is bought, and copies of it."""
    now, owner = clock.now(), ids.new()
    starts_on = now.date()
    ends_on = starts_on + timedelta(days=365)
    premium, lines = _price(starts_on, ends_on)
    accepted = Quote(
        id=ids.new(),
        user_id=owner,
        created_by=owner,
        product_code="motor",
        product_version=1,
        time_zone=_ZONE,
        state="accepted",
        valid_until=now + timedelta(days=1),
        starts_on=starts_on,
        ends_on=ends_on,
        premium=premium,
        coverages=(Coverage("liability", Money(100_000_000, "EUR")), Coverage("collision")),
        plans={"annual": 1},
        answers={"driver_age": 34, "use": "private"},
        objects=(InsuredObject("vehicle_1", "vehicle", {"plate": "AA-11-BB"}, "AA-11-BB"),),
        lines=lines,
    )
    with database.transaction() as session:
        contract = issuing.issue(session, accepted, issuing.Wish("annual", owner, _NOBODY, NOTHING), now)
        activating.activate(session, contract.id, 1, "pay_1", now, _NOBODY, now)
    with psycopg.connect(database.url, autocommit=True) as connection:
        callers.copy(connection, contract.id, [ids.new() for _ in range(_OWNERS)], 1, count - 1)


def main(count: int) -> None:
    """Fill a database and measure."""
    postgres.begin_run()
    try:
        database = Database(postgres.new_database("policies"), section(DbSettings), "bench-offers")
        database.open()
        fill(database, count)
        with tempfile.TemporaryDirectory() as folder:
            moved = Path(folder, "clock")
            moved.write_text(json.dumps({clock.OFFSET: _AHEAD // timedelta(microseconds=1)}))
            clock.follow(moved)
            runner = Registered()
            jobs.register(cast(JobRunner, runner), database, AtHand(), cast(Payments, None))
            night = nightly.night_at(clock.now())
            figures = carry_out(database, runner.runs[OFFER_RENEWALS.name], nightly.Occurrence(0), night)
        database.close()
    finally:
        postgres.end_run()
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
