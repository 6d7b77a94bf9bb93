"""What a query leaves out for a state or a flag is in none, whatever happened to it: checked on random histories."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs import ids
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.store import policies, timelines, transactions
from services.policies.lifecycle.store.rows import PolicyRow
from services.policies.lifecycle.store.standing import find_condition
from tests.unit.policies.histories import ISSUED, Command, History

_HISTORIES = 40
_ORDINARY = ("pay", "cancel", "pass_time", "reinstate", "pass_time", "lapse", "renew", "pass_time", "pay")


def _lived(chance: random.Random) -> History:
    history = History.begin(coverages=1)
    for name in chance.choices(_ORDINARY, k=chance.randrange(16)):
        history.do(Command(name, chance.randrange(4_000), chance.randrange(4_000)))
    return history


def _save(session: Session, history: History) -> Policy:
    """Save a policy with every version of its terms."""
    policy = replace(history.made.policy, id=ids.new(), quote_id=ids.new(), number=str(ids.new()))
    policies.add(session, policy)
    for count, transaction in enumerate(history.stack, 1):
        written = replace(transaction, id=ids.new(), reverses=None, quote_id=None)
        transactions.add(session, policy.id, written, "EUR")
        for term in history.made.terms_of(history.stack[:count]):
            timelines.add(session, policy.id, written, term)
    return policy


def test_no_query_leaves_out_a_policy_that_is_in_the_state_or_has_the_flag(
    make_database: Callable[[str], str],
) -> None:
    chance, seen = random.Random(8), set[State | Flag]()
    engine = sa.create_engine(make_database("policies"))
    with Session(engine) as session:
        lived = [_lived(chance) for _ in range(_HISTORIES)]
        saved = [_save(session, history) for history in lived]
        for now in (ISSUED + timedelta(days=days) for days in (0, 8, 60, 200, 380, 900)):
            for asked in (*State, *Flag):
                which = (asked, None) if isinstance(asked, State) else (None, asked)
                standing = {policy.id for policy in saved if policy.stands(now, *which)}
                passed = set[UUID](session.scalars(sa.select(PolicyRow.id).where(find_condition(now, *which))))
                assert standing <= passed, (asked, now)
                seen |= {asked} if standing and len(passed) < len(saved) else set()
    engine.dispose()
    assert seen >= {*State} | {Flag.CANCEL_PENDING, Flag.RENEWED}
