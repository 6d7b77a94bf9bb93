"""The nightly comparison of policies, billing and ledger: it finds what is seeded, and forgets what is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from prometheus_client import REGISTRY

from libs import ids
from libs.errors import Unavailable
from libs.jobs import runs
from services.payments.billing import jobs
from services.payments.billing.kinds import RECONCILE
from services.payments.billing.rules.reconciling import Written
from services.payments.collection.flows import watching
from services.payments.ledger.rules.proof import Item
from tests.integration.payments.house import House
from tests.support import portfolio

_AGO = datetime.now(UTC) - timedelta(days=1)


class Register:
    """What policies says of its contracts."""

    def __init__(self, house: House, count: int) -> None:
        self.house = house
        with psycopg.connect(house.url, autocommit=True) as connection:
            self.policies = portfolio.write(connection, count)
        self.said = {
            policy: Written(policy, 1, _AGO, dict.fromkeys(Item, 0) | {Item.PREMIUM: 120_000 + number})
            for number, policy in enumerate(self.policies, 1)
        }
        jobs.register_reconciling(house.registered, house.database, self.sum_written)  # type: ignore[arg-type]
        self.nights = 0

    def sum_written(self, after: UUID, limit: int) -> Sequence[Written]:
        return [self.said[policy] for policy in sorted(self.said) if policy > after][:limit]

    def change(self, policy: UUID, **changes: Any) -> None:
        """Let policies say something else."""
        self.said[policy] = replace(self.said[policy], **changes)

    def compare(self) -> set[tuple[Any, ...]]:
        """The next night, and what it found."""
        self.nights += 1
        at = datetime.now(UTC) + timedelta(days=self.nights)
        self.house.registered.run(RECONCILE.name, {"timestamp": int(at.timestamp())})
        return set(self.house.rows("SELECT policy_id, kind, item, expected, actual FROM reconciliation_differences"))

    def shown(self, kind: str) -> float | None:
        """What the page of metrics shows."""
        watching._observe(self.house.database, datetime.now(UTC))
        return REGISTRY.get_sample_value("bazaruto_reconciliation_differences", {"kind": kind})


def test_differences_of_each_kind_are_found_and_go_when_they_are_mended(house: House) -> None:
    register = Register(house, 250)
    assert register.compare() == set()
    behind, gone, cheap, wrong, late = register.policies[3:250:60]
    said_before = dict(register.said)
    missing = ids.new()
    register.said[missing] = Written(missing, 1, _AGO, said_before[behind].amounts)
    register.change(behind, sequence=2)
    register.change(late, sequence=2, issued_at=datetime.now(UTC), amounts={})
    register.change(cheap, amounts=dict.fromkeys(Item, 0) | {Item.PREMIUM: 5})
    del register.said[gone]
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE postings DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE postings SET account_code = '2100' FROM journals WHERE journals.id = journal_id"
            " AND policy_id = %s AND coverage_code = 'glass'",
            (wrong,),
        )
    written = {policy: said.amounts[Item.PREMIUM] for policy, said in said_before.items()}
    assert register.compare() == {
        (missing, "not_applied", "sequence", 1, 0),
        (behind, "not_applied", "sequence", 2, 1),
        (gone, "not_issued", "sequence", 0, 1),
        (cheap, "not_charged", "premium", 5, written[cheap]),
        (wrong, "not_booked", "premium", written[wrong], written[wrong] - 20_000),
        (wrong, "not_booked", "unearned", written[wrong], written[wrong] - 20_000),
        (wrong, "not_booked", "tax", 0, 20_000),
    }
    assert (register.shown("not_applied"), register.shown("not_booked")) == (2, 3)

    register.said = dict(said_before)
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("UPDATE postings SET account_code = '2000' WHERE account_code = '2100'")
    assert register.compare() == set()  # also of the policy that nobody lists any more
    assert register.shown("not_booked") == 0


def test_policy_that_cannot_be_compared_is_parked_and_the_others_are_compared(house: House) -> None:
    register = Register(house, 20)
    bad = register.policies[7]
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE timeline_lines DISABLE TRIGGER ALL")
        connection.execute(
            "INSERT INTO earnings (policy_id, sequence, earned_until, ends_on) VALUES (%s, 1, '2025-02-01', NULL)",
            (bad,),
        )
        moved = (
            "UPDATE timeline_lines SET term_number = %s FROM applied_transactions AS applied"
            " WHERE applied.transaction_id = timeline_lines.transaction_id AND account_id = %s"
        )
        connection.execute(moved, (9, bad))
        register.change(register.policies[9], sequence=2)
        assert register.compare() == {(register.policies[9], "not_applied", "sequence", 2, 1)}
        (parked,) = runs.list_parked(connection, RECONCILE.name, 10)
        assert parked.item_id == bad
        connection.execute(moved, (1, bad))
        connection.execute("DELETE FROM earnings")
        register.compare()
        assert runs.list_parked(connection, RECONCILE.name, 10) == []


def test_comparison_that_was_broken_off_goes_on_where_it_was(house: House) -> None:
    register = Register(house, 450)
    asked: list[UUID] = []

    def break_off(after: UUID, limit: int) -> Sequence[Written]:
        asked.append(after)
        if len(asked) == 2:
            raise Unavailable
        return register.sum_written(after, limit)

    jobs.register_reconciling(house.registered, house.database, break_off)  # type: ignore[arg-type]
    for _ in range(2):
        try:
            house.registered.run(RECONCILE.name, {"timestamp": int((_AGO + timedelta(days=9)).timestamp())})
        except Unavailable:
            continue
    assert asked[:3] == [UUID(int=0), register.policies[199], register.policies[199]]
    with psycopg.connect(house.url, autocommit=True) as connection:
        assert runs.list_runs(connection)[-1].done == 450
