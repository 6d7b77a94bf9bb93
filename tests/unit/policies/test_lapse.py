"""When a policy lapses, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import pytest

from libs.money import Money
from services.policies.lifecycle.rules import lapse
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.delinquency import Delinquency, Standing
from services.policies.lifecycle.rules.lapse import Lapse
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import CoverStart
from tests.unit.policies.contracts import contract_of
from tests.unit.policies.stacks import EUR, FIRST, LAST, Stack, end, risk

# T72: due on 1 February with thirty days of grace, so that 3 March is the first day without cover: 61 days are used.
GRACE_ENDS = date(2025, 3, 3)
NOW = datetime(2025, 3, 3, 0, 5, tzinfo=UTC)
ASKED = Lapse(UUID(int=77), 4, GRACE_ENDS)


def in_force(*more: tuple[date, object]) -> Contract:
    """A policy of a year for 1200.00, with 17 % and 2.5 % of tax and a fee of 25.00, that is paid for; and changes."""
    stack = Stack()
    stack.open(risk())
    stack.put(FIRST, CoverStart(1, datetime(2025, 1, 1, 9, tzinfo=UTC)))
    for day, change in more:
        stack.put(day, change)
    return contract_of(stack)


def unpaid() -> Contract:
    """The same, that nobody paid for."""
    stack = Stack()
    stack.open(risk())
    return contract_of(stack)


def known(version: int, standing: Standing = Standing.LAPSING) -> Delinquency:
    return Delinquency(ASKED.delinquency_id, version, standing, Money(11900, EUR), date(2025, 2, 1), GRACE_ENDS)


def test_days_of_grace_are_owed_pro_rata() -> None:
    changed = lapse.lapse(in_force(), ASKED, "dlq", NOW, transaction_id=UUID(int=99))
    (term,) = changed.after.terms
    owed = premium_of(term.lines(), EUR)
    # round(1200.00 × 61 / 365); 17 % and 2.5 % of it; the fee stays.
    assert (owed.net, owed.tax, owed.fees) == (Money(20055, EUR), Money(3409 + 501, EUR), Money(2500, EUR))
    assert (term.ended is not None, changed.transaction.reason) == (True, "non_payment")
    assert changed.after.state(NOW) is State.LAPSED
    assert changed.before.state(NOW) is State.IN_FORCE


def test_lapse_is_needed_while_cover_goes_on_and_nothing_newer_is_known() -> None:
    made = in_force()
    assert [lapse.is_needed(made, ASKED, each) for each in (None, known(3), known(4), known(5, Standing.SETTLED))] == [
        True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "is_needed"),
    [
        (in_force((date(2025, 3, 2), end(Return(Method.PRO_RATA)))), False),
        (in_force((GRACE_ENDS, end(Return(Method.PRO_RATA)))), False),
        (in_force((date(2025, 3, 4), end(Return(Method.PRO_RATA)))), True),
        (unpaid(), False),
    ],
    ids=["cancelled before", "cancelled that day", "cancelled later", "never paid"],
)
def test_policy_that_ended_by_then_or_never_began_does_not_lapse(made: Contract, is_needed: bool) -> None:
    assert lapse.is_needed(made, ASKED, None) is is_needed


def test_policy_that_expired_by_then_does_not_lapse() -> None:
    assert not lapse.is_needed(in_force(), replace(ASKED, effective_on=LAST), None)
    assert lapse.is_needed(in_force(), replace(ASKED, effective_on=LAST - timedelta(days=1)), None)


def test_lapse_takes_the_place_of_a_cancellation_that_was_to_come_later() -> None:
    cancelled = in_force((date(2025, 7, 1), end(Return(Method.SHORT_RATE, Fraction(9, 10)))))
    assert cancelled.policy.flags(NOW) == (Flag.CANCEL_PENDING,)
    changed = lapse.lapse(cancelled, ASKED, "dlq", NOW, transaction_id=UUID(int=99))
    plain = lapse.lapse(in_force(), ASKED, "dlq", NOW, transaction_id=UUID(int=99))
    assert changed.after.terms == plain.after.terms  # what the cancellation kept is owed no more
    assert changed.after.flags(NOW) == ()
    ended = changed.after.terms[0].ended
    assert ended is not None
    assert (ended.kind, ended.on) == (EndKind.LAPSED, GRACE_ENDS)
