"""Which transaction can be taken back, by whom, and what comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given

from libs.errors import AuthorityExceeded
from services.policies.lifecycle.rules import reversal
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.transaction import CoverStart, Delta, Opening, Reopening, TransactionType
from tests.unit.policies.contracts import contract_of
from tests.unit.policies.stacks import FIRST, LAST, Stack, amounts, end, risk, stacks

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
PRO_RATA = end(Return(Method.PRO_RATA))


def opened() -> Stack:
    stack = Stack()
    stack.open(risk())
    stack.put(FIRST, CoverStart(1, datetime(2025, 1, 1, 9, tzinfo=UTC)))
    return stack


@given(stacks())
def test_every_line_comes_back_exactly(stack: Stack) -> None:
    made = contract_of(stack)
    last = reversal.last_of(made)
    if last is not None:
        changed = reversal.reverse(made, last, "apr", NOW, transaction_id=UUID(int=99))
        assert amounts(changed.transaction.lines, last.lines) == {}
        assert changed.transaction.reverses == last.id
        after = replace(made, policy=changed.after, stack=(*made.stack, changed.transaction))
        assert (reversal.last_of(after) or made.stack[0]).id != last.id


def test_only_the_last_change_that_counts_can_be_taken_back() -> None:
    stack = opened()
    first = stack.put(date(2025, 3, 1), Delta({"price_liability": 150000}))
    second = stack.put(date(2025, 2, 1), Delta({"price_liability": 140000}))
    assert reversal.last_of(contract_of(stack)) == contract_of(stack).stack[-1]
    stack.put(second.effective_on, reverses=second.id)
    last = reversal.last_of(contract_of(stack))
    assert last is not None
    assert last.id == first.id


def test_new_business_and_what_was_taken_back_are_not_taken_back() -> None:
    stack = opened()
    assert reversal.last_of(contract_of(stack)) is None
    lapsed = stack.put(date(2025, 3, 3), PRO_RATA)
    stack.put(lapsed.effective_on, reverses=lapsed.id)
    assert reversal.last_of(contract_of(stack)) is None


def test_cancellation_of_what_was_never_paid_for_is_not_taken_back() -> None:
    stack = Stack()
    stack.open(risk())
    stack.put(FIRST, end(Return(Method.FLAT)))
    assert reversal.last_of(contract_of(stack)) is None


def test_reinstatement_can_be_taken_back_and_cover_has_ended_again() -> None:
    stack = opened()
    stack.put(date(2025, 3, 3), PRO_RATA)
    before = contract_of(stack)
    stack.put(date(2025, 3, 3), Reopening())
    made = contract_of(stack)
    last = reversal.last_of(made)
    assert last is not None
    changed = reversal.reverse(made, last, "apr", NOW, transaction_id=UUID(int=99))
    assert changed.after.terms == before.policy.terms


def renewed(*, is_paid: bool) -> Contract:
    stack = opened()
    stack.open(risk(), 2, LAST, date(2027, 1, 1))
    if is_paid:
        stack.put(LAST, CoverStart(2, datetime(2025, 12, 20, tzinfo=UTC)))
    made = contract_of(stack)
    return replace(
        made,
        stack=tuple(
            replace(item, type=TransactionType.RENEWAL)
            if isinstance(item.change, Opening) and item.change.term_number == 2
            else item
            for item in made.stack
        ),
    )


def test_term_that_was_paid_for_is_not_taken_back() -> None:
    assert reversal.last_of(renewed(is_paid=False)) is not None
    assert reversal.last_of(renewed(is_paid=True)) is None


def test_only_an_administrator_takes_a_transaction_of_another_day_back() -> None:
    stack = opened()
    target = replace(stack.put(date(2025, 3, 3), PRO_RATA), issued_at=NOW)
    reversal.check_day(target, "UTC", NOW, by_admin=False)
    reversal.check_day(target, "UTC", NOW + timedelta(days=1), by_admin=True)
    with pytest.raises(AuthorityExceeded) as refused:
        reversal.check_day(target, "UTC", NOW + timedelta(days=1), by_admin=False)
    assert refused.value.metadata == {"needed": "admin", "held": "underwriter"}
