"""Changing a policy of which nothing but its timeline is written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

from libs import ids
from services.policies.lifecycle.flows import changing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import contract
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Ending, TransactionType
from services.policies.lifecycle.store import policies, timelines
from tests.integration.policies.house import House
from tests.support.people import People


def test_policy_whose_stack_says_nothing_of_its_changes_is_folded_from_its_timeline(
    house: House, people: People
) -> None:
    person = people.customer()
    issued = house.issue(person)
    house.activate(issued.policy_id, people.service("payments-worker"))
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # without triggers
        connection.execute("UPDATE policy_transactions SET change = NULL")  # as programs of before wrote it
    policy_id, now = ids.decode("pol", issued.policy_id), datetime.now(UTC)

    def load() -> Contract:
        with house.database.reading(fresh=True) as session:
            policy = policies.find(session, policy_id)
            assert policy is not None
            return changing.load(session, policy, {1: house.quotes.rules[1]})

    made = load()
    assert made.terms_of(made.stack) == made.policy.terms
    day = made.policy.terms[0].starts_on + timedelta(days=181)
    ended = Ending(EndKind.CANCELLED, Return(Method.PRO_RATA))
    drafted = contract.draft(
        made, TransactionType.CANCELLATION, day, now, ended, transaction_id=ids.new(), reason="insurer"
    )
    changed = contract.put(made, drafted)
    change = premium_of(changed.transaction.lines, "EUR")
    assert [part.minor for part in (change.net, change.tax, change.fees)] == [-60493, -10284, 0]
    with house.database.transaction() as session:
        changing.save(session, Decision(changed, "policy_cancelled"), "usr_somebody", now)
    after = load()
    assert after.policy.terms == after.terms_of(after.stack) == changed.after.terms
    assert after.stack[-1].change == ended
    assert (after.stack[-1].billing_sequence, after.stack[-1].actor) == (2, "usr_somebody")
    with house.database.reading(fresh=True) as session:
        assert timelines.find_written(session, after.stack[-1].id) == [1]
