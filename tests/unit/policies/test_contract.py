"""What a transaction makes of a contract, with nothing but what its stack brought along."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given

from services.policies.lifecycle.rules import contract, timeline
from services.policies.lifecycle.rules.contract import TimelineDiffers
from services.policies.lifecycle.rules.prices import RiskNotPriced, rate_of
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.transaction import Delta, Opening
from services.policies.lifecycle.store import changes
from tests.unit.policies.contracts import contract_of, priced
from tests.unit.policies.stacks import EUR, FIRST, LAST, Stack, amounts, end, risk, stacks

NOW = datetime(2025, 1, 2, tzinfo=UTC)


@given(stacks())
def test_stack_is_folded_with_the_prices_that_its_transactions_brought(stack: Stack) -> None:
    made = contract_of(stack)
    assert made.terms_of(made.stack) == made.policy.terms


@given(stacks())
def test_stack_is_stored_and_read_without_loss(stack: Stack) -> None:
    for transaction in priced(stack.transactions)[1:]:
        plain = json.loads(json.dumps(changes.row_from_change(transaction)))
        row = SimpleNamespace(change=plain, currency=EUR)
        assert changes.change_from_row(row) == transaction.change
        assert changes.prices_from_row(row) == transaction.prices


@given(stacks())
def test_transaction_costs_what_all_terms_cost_after_it_less_before(stack: Stack) -> None:
    made = contract_of(stack)
    ended = end(Return(Method.PRO_RATA))
    drafted = contract.draft(
        made, stack.transactions[0].type, FIRST.replace(month=7), NOW, ended, transaction_id=UUID(int=99)
    )
    changed = contract.put(made, drafted)
    expected = stack.put(FIRST.replace(month=7), ended)
    assert amounts(changed.transaction.lines) == amounts(expected.lines)
    assert changed.transaction.sequence == expected.sequence
    assert (changed.transaction.billing_sequence is None) == (changed.terms == [])
    assert {line.term_number for line in changed.transaction.lines} <= {term.number for term in changed.terms}


def test_price_that_nobody_brought_is_refused() -> None:
    stack = Stack()
    stack.open(risk())
    with pytest.raises(RiskNotPriced):
        timeline.fold(stack.transactions, rate_of(stack.transactions), EUR)


def test_prices_of_a_transaction_that_was_taken_back_stand_behind_others() -> None:
    stack = Stack()
    stack.open(risk(100000))
    opened = priced(stack.transactions)[0]
    loaded = replace(
        opened.prices[0], full_term={key: money + money for key, money in opened.prices[0].full_term.items()}
    )
    endorsed = replace(stack.put(FIRST, Delta()), prices=(loaded,))
    undone = stack.put(FIRST, reverses=endorsed.id)
    change = opened.change
    assert isinstance(change, Opening)
    assert rate_of([opened, endorsed])(change, change.risk) == loaded.full_term
    assert rate_of([opened, endorsed, undone])(change, change.risk) == opened.prices[0].full_term


def test_nothing_is_charged_on_a_stack_that_does_not_come_to_the_timeline() -> None:
    stack = Stack()
    stack.open(risk())
    made = contract_of(stack)
    cheaper = replace(made.policy, terms=(replace(made.policy.terms[0], charges=()),))
    drafted = contract.draft(
        made, stack.transactions[0].type, LAST, NOW, end(Return(Method.FLAT)), transaction_id=UUID(int=9)
    )
    with pytest.raises(TimelineDiffers):
        contract.put(replace(made, policy=cheaper), drafted)
