"""Purchases while ten thousand policies lapse, against the same purchases while nothing else goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.performance import callers
from tests.performance.bench import Bench, Site
from tests.performance.figures import Figure, Target
from tests.performance.load import Burst, CannotMeasure, tails
from tests.performance.rounds import take_turns
from tests.performance.rows.changes import await_jobs
from tests.performance.rows.purchases import burst

_FIRST = 1_000_000  # the number of the first copy: far from those that every platform has
_PATIENCE = 60.0  # seconds until the first policies lapse
_WAITING = "task_name = 'payments.lapse_policy' AND status = 'todo'"
# Of each, the last step of dunning was done, so that a job waits that has it lapse; what is owed is what was billed.
_UNPAID = """
    UPDATE invoices SET status = 'open', settled = 0, paid_at = NULL, payable_until = NULL, due_on = current_date - 29,
        past_due_at = now()
    WHERE policy_id <> %(template)s AND policy_id::text LIKE %(copies)s
"""
_LAPSING = """
    INSERT INTO delinquencies (id, account_id, version, state, due_on, currency, amount, term_number, opened_at,
        grace_ends_on, held_days, steps_done)
    SELECT policy_id, policy_id, 6, 'lapsing', due_on, currency, total, term_number, now(), current_date + 1, 0, 4
    FROM invoices WHERE status = 'open' AND policy_id <> %(template)s AND policy_id::text LIKE %(copies)s
"""
_JOBS = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status, scheduled_at)
    SELECT 'payments', 'payments.lapse_policy', -10, jsonb_build_object('delinquency_id', id), 'todo', 'infinity'
    FROM delinquencies WHERE state = 'lapsing' AND account_id::text LIKE %(copies)s
"""


@dataclass
class Lapsing:
    """Policies that lapse in the rounds in which they are let."""

    bench: Bench
    site: Site
    lapsed: list[float] = field(default_factory=list)
    """Of each such round, how many lapsed in a second."""

    def prepare(self) -> None:
        """Make the policies, none of which lapses yet."""
        platform, template = self.site.platform, self.site.callers.template
        owners = [customer.user_id for customer in self.site.callers.customers]
        numbers = (_FIRST, _FIRST + self.bench.effort.lapses - 1)
        with platform.connect("policies") as connection:
            callers.copy(connection, template, owners, *numbers)
        with platform.connect("payments") as connection:
            callers.copy_billing(connection, template, owners, *numbers)
            connection.execute("SET session_replication_role = replica")
            asked = {"template": template, "copies": callers.like_copies(template)}
            for statement in (_UNPAID, _LAPSING, _JOBS):
                connection.execute(statement.encode(), asked)

    def beside(self, seconds: float) -> Burst:
        """Purchases, from the moment on at which policies lapse."""
        before = self._done()
        self._let("NULL")
        deadline = time.monotonic() + _PATIENCE
        while self._done() == before:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"no policy lapsed within {_PATIENCE:.0f} s")
            time.sleep(0.05)
        started, before = time.monotonic(), self._done()
        measured = burst(self.bench, self.site, True, False, seconds)
        self.lapsed.append((self._done() - before) / (time.monotonic() - started))
        if not self._count(f"SELECT count(*) FROM procrastinate_jobs WHERE {_WAITING}"):
            raise CannotMeasure("all policies lapsed before the purchases were done")
        self._let("'infinity'")
        await_jobs(self.site.platform)
        return measured

    def end(self) -> None:
        """Leave the other policies as they are."""
        with self.site.platform.connect("payments") as connection:
            connection.execute(f"UPDATE procrastinate_jobs SET status = 'cancelled' WHERE {_WAITING}".encode())

    def _let(self, scheduled_at: str) -> None:
        with self.site.platform.connect("payments") as connection:
            connection.execute(f"UPDATE procrastinate_jobs SET scheduled_at = {scheduled_at} WHERE {_WAITING}".encode())

    def _done(self) -> int:
        return self._count("SELECT count(*) FROM delinquencies WHERE state = 'lapsed'")

    def _count(self, query: str) -> int:
        with self.site.platform.connect("payments") as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0


def measure(bench: Bench) -> list[Figure]:
    """How long purchases take until they are in force, and how many policies lapse beside them."""
    site = bench.site(bench.head)
    site.platform.place()
    bench.tell(f"making {bench.effort.lapses:,} policies that are to lapse")
    lapsing = Lapsing(bench, site)
    lapsing.prepare()
    contenders: dict[str, Callable[[float], Burst]] = {
        "beside": lapsing.beside,
        "alone": partial(burst, bench, site, True, False),
    }
    try:
        rounds = take_turns(bench.effort, contenders)
    finally:
        lapsing.end()
    beside, alone = rounds["beside"], rounds["alone"]
    lapsed = lapsing.lapsed[-len(beside) :]  # the first is for warming up
    return [
        Figure("p99 of a purchase while policies lapse", "ms", tails(beside), tails(alone), "alone", Target(1.5)),
        Figure(
            "p50 of a purchase while policies lapse", "ms", [each.p50 for each in beside],
            [each.p50 for each in alone], "alone",
        ),
        Figure("policies lapsed beside the purchases", "a second", lapsed),
    ]  # fmt: skip
