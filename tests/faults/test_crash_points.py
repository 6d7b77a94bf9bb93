"""Flows that are killed at every crash point: they end as if nothing had happened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from libs import ids
from tests.faults.crash_points import CrashPoints, Kill, Point
from tests.faults.flows import FLOWS, Flow
from tests.faults.world import World
from tests.support import postgres
from tests.support.people import People

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three services whose crash points are seen."""
    with pytest.MonkeyPatch.context() as patch:
        quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=quiet)  # what dies on purpose would fill pages
        points = CrashPoints()
        points.install(patch)
        urls = {name: postgres.new_database(name) for name in ("policies", "payments", "quotes")}
        with World(points, people, urls, tmp_path_factory.mktemp("clock") / "clock").running() as running:
            yield running
    structlog.reset_defaults()


_OF_POLICIES = {
    "transactions": """
        SELECT sequence, type, effective_on, premium_change, billing_sequence FROM policy_transactions
        WHERE policy_id = '{0}' ORDER BY sequence""",
    "delinquency": "SELECT state, version FROM delinquencies WHERE policy_id = '{0}'",
    "policy": "SELECT version, activated_at IS NULL FROM policies WHERE id = '{0}'",
    "audited": "SELECT action, count(*) FROM audit_events WHERE resource = '{1}' GROUP BY action ORDER BY action",
    "tokens": "SELECT count(*) FROM payment_methods WHERE policy_id = '{0}'",
}
_OF_PAYMENTS = {
    "applied": "SELECT sequence, kind, total FROM applied_transactions WHERE account_id = '{0}' ORDER BY sequence",
    "invoices": """
        SELECT installment_number, status, total, settled, due_on FROM invoices WHERE policy_id = '{0}'
        ORDER BY due_on, total""",
    "payments": """
        SELECT amount, status FROM payments WHERE account_id = '{0}' AND status <> 'canceled' ORDER BY created_at""",
    "charges": """
        SELECT c.amount, c.status FROM sandbox_charges AS c JOIN payments AS p ON p.id = c.payment_id
        WHERE p.account_id = '{0}' AND c.status <> 'canceled' ORDER BY p.created_at""",
    "refunds": "SELECT amount, status FROM refunds WHERE account_id = '{0}' ORDER BY created_at",
    "paid back": """
        SELECT s.amount, s.status, f.status FROM sandbox_refunds AS s JOIN payments AS p ON p.id = s.payment_id
            LEFT JOIN refund_parts AS f ON f.id = s.refund_id
        WHERE p.account_id = '{0}' ORDER BY s.created_at""",
    "credit": "SELECT coalesce(sum(amount), 0) FROM credits WHERE account_id = '{0}'",
    "planned": """
        SELECT i.state, count(*) FROM schedule_installments AS i JOIN schedules AS s ON s.id = i.schedule_id
        WHERE s.account_id = '{0}' GROUP BY i.state ORDER BY i.state""",
    "delinquency": "SELECT state, version, amount, ending FROM delinquencies WHERE account_id = '{0}' ORDER BY version",
    "dunned": """
        SELECT number, action FROM dunning_steps AS s JOIN delinquencies AS d ON d.id = s.delinquency_id
        WHERE account_id = '{0}' ORDER BY number""",
    "books": """
        SELECT rule, account_code, side, count(*), sum(amount) FROM journals JOIN postings ON journal_id = id
        WHERE policy_id = '{0}' GROUP BY rule, account_code, side ORDER BY rule, account_code, side""",
}


def outcome(world: World, policy_id: str) -> dict[str, object]:
    """All that is to be the same whatever was killed."""
    key = ids.decode("pol", policy_id)
    found: dict[str, object] = {}
    for service, queries in (("policies", _OF_POLICIES), ("payments", _OF_PAYMENTS)):
        for name, query in queries.items():
            found[f"{service}: {name}"] = world.rows(service, query.format(key, policy_id))
    found["quotes"] = world.rows(
        "quotes",
        f"SELECT kind, state, bound_transaction_id IS NULL FROM quotes WHERE policy_id = '{key}' ORDER BY created_at",
    )
    return found


class Killing:
    """One flow, which begins at the same moment again and again."""

    def __init__(self, world: World, flow: Flow) -> None:
        self.world, self.flow = world, flow
        world.begin()
        self.before = flow.prepare(world)
        world.keep()

    def run(self, kill: Kill) -> dict[str, object]:
        """What comes of the flow; the crash points that it passes are noted."""
        self.world.put_back()
        case = replace(self.before)
        with self.world.points.watching(kill):
            self.flow.act(self.world, case)
        assert self.world.differences(case.policy_id) == [], self.killed()
        return outcome(self.world, case.policy_id)

    def killed(self) -> set[tuple[str, Point]]:
        """Where the last run was killed."""
        return {(step.name, step.killed_at) for step in self.world.points.steps if step.killed_at}


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow_that_is_killed_anywhere_ends_as_if_nothing_had_happened(world: World, flow: Flow) -> None:
    killing = Killing(world, flow)
    expected = killing.run(lambda step, number: False)
    steps = [step for step in world.points.steps if step.points]
    points = {(step.name, number): point for step in steps for number, point in enumerate(step.points)}
    assert points
    killed: set[tuple[str, Point]] = set()
    for nth in range(max(len(step.points) for step in steps)):
        # Every call and every job of the flow dies once: at the first of its points, then at the second, …
        assert killing.run(lambda step, number, nth=nth: number == nth) == expected, killing.killed()
        killed |= killing.killed()
    for place, point in points.items():
        if (place[0], point) not in killed:  # what was killed before had changed the way of the flow
            assert killing.run(lambda *passed, place=place: passed == place) == expected, killing.killed()
            killed |= killing.killed()
    assert {(step, point) for (step, _), point in points.items()} <= killed
