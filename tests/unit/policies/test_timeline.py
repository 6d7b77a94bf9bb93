"""The one rule of money, over any history."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.money import Money
from libs.premium import Coverage, InsuredObject, LineKind
from services.policies.lifecycle.rules import charges, timeline
from services.policies.lifecycle.rules.charges import Tariff
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Delta, Ending, Reopening
from tests.unit.policies.stacks import EUR, FIRST, LAST, TARIFF, Stack, amounts, days, deltas, end, risk, stacks

JULY = date(2025, 7, 1)  # 181 days used, 184 left
NET = Tariff()


def a_stack(price: int = 120000, tariff: Tariff = NET) -> Stack:
    stack = Stack(tariff=tariff)
    stack.open(risk(price))
    return stack


def net(stack: Stack) -> int:
    return charges.premium_of(stack.lines(), EUR).net.minor


@given(stacks())
def test_lines_of_all_transactions_add_up_to_what_the_timeline_costs(stack: Stack) -> None:
    assert amounts(*(transaction.lines for transaction in stack.transactions)) == amounts(stack.lines())


@given(stacks(), st.lists(days, min_size=2, max_size=6))
def test_earned_never_falls_and_ends_at_written(stack: Stack, moments: list[date]) -> None:
    for folded in stack.folded():
        term = folded.term
        for item in term.items:
            earned = [term.earned(item, day).minor for day in [FIRST, *sorted(moments), LAST]]
            assert earned == sorted(earned)
            assert (earned[0], earned[-1]) == (0, term.written(item).minor)


@given(stacks())
def test_segments_are_in_order_and_add_up_to_their_term(stack: Stack) -> None:
    for folded in stack.folded():
        term = folded.term
        ends = [day for segment in term.segments for day in (segment.starts_on, segment.ends_on)]
        assert ends == sorted(ends)
        assert all(each.starts_on < each.ends_on for each in term.segments)
        shown = sum(money.minor for net in term.nets() for money in net.values())
        assert shown == charges.premium_of(term.lines(), EUR).net.minor


@given(stacks(), days, deltas)
def test_reversal_gives_every_line_back(stack: Stack, day: date, change: Delta) -> None:
    before = amounts(stack.lines())
    made = stack.put(day, change)
    undone = stack.put(day, reverses=made.id)
    assert amounts(undone.lines) == amounts(charges.mirrored(made.lines))
    assert amounts(stack.lines()) == before


@given(stacks(), days, st.integers(0, 500000))
def test_untouched_coverage_never_changes_by_a_cent(stack: Stack, day: date, price: int) -> None:
    made = stack.put(day, Delta(answers={"price_fire": price}))
    assert {line.coverage_code for line in made.lines if line.kind is LineKind.PREMIUM} <= {"fire"}


@settings(max_examples=40)
@given(st.lists(st.tuples(days, st.integers(0, 300000)), min_size=2, max_size=4, unique_by=lambda item: item[0]))
def test_changes_cost_the_same_in_any_order_of_issue(changes: list[tuple[date, int]]) -> None:
    costs = []
    for order in permutations(changes):
        stack = a_stack(tariff=TARIFF)
        for day, price in order:
            stack.put(day, Delta(answers={"price_liability": price}))
        costs.append(amounts(stack.lines()))
    assert all(cost == costs[0] for cost in costs)


@given(stacks(), days)
def test_nothing_is_unearned_after_a_pro_rata_cancellation(stack: Stack, day: date) -> None:
    term = stack.term
    if not term.segments or day >= term.segments[-1].ends_on:
        return
    earned = {item: term.earned(item, day).minor for item in term.items}
    stack.put(day, end(Return(Method.PRO_RATA)))
    (folded,) = stack.folded()
    if not _had_ended(stack):
        assert {item: folded.term.written(item).minor for item in folded.term.items} == {
            item: amount for item, amount in earned.items() if item in folded.term.items
        }
        assert not folded.retention


@given(stacks())
def test_tax_given_back_is_never_more_than_was_charged(stack: Stack) -> None:
    owed = 0
    for transaction in stack.transactions:
        owed += sum(line.amount.minor for line in transaction.lines if line.kind is LineKind.TAX)
        assert owed >= 0


@given(stacks())
def test_what_is_kept_is_never_negative_and_never_more_than_the_whole_price(stack: Stack) -> None:
    standing = timeline.counting(stack.transactions)
    uncut = Stack([entry for entry in standing if isinstance(entry.change, Delta) or entry.sequence == 1])
    for folded in stack.folded():
        assert all(amount.minor > 0 for amount in folded.retention.values())
        if folded.retention:
            kept = charges.premium_of(stack.lines(), EUR).net.minor
            assert kept <= max(net(uncut), sum(uncut.term.written(item).minor for item in uncut.term.items))


@pytest.mark.parametrize(
    ("price", "ends_on", "used", "how", "back"),
    [
        (50000, LAST, 150, Return(Method.PRO_RATA), 29452),  # T01
        (50000, LAST, 150, Return(Method.SHORT_RATE, Fraction(9, 10)), 26507),  # T02
        (150000, LAST, 219, Return(Method.SHORT_RATE, Fraction(9, 10)), 54000),  # T04
        (150000, LAST, 219, Return(Method.PRO_RATA), 60000),
        (100000, LAST, 150, Return(Method.TABLE, table=((1, Fraction(1, 4)), (150, Fraction(52, 100)))), 48000),  # T06
        (120000, LAST, 181, Return(Method.PRO_RATA), 60493),  # T08
        (120000, LAST, 181, Return(Method.SHORT_RATE, Fraction(9, 10)), 54444),  # T09
        (120000, LAST, 0, Return(Method.PRO_RATA), 120000),  # T12, T19
        (120000, LAST, 10, Return(Method.FLAT), 120000),
        (10000, LAST, 100, Return(Method.SHORT_RATE, Fraction(9, 10)), 6534),  # T14
        (1500000, LAST, 90, Return(Method.PRO_RATA), 1130137),  # T16
        (100000, LAST, 6, Return(Method.SHORT_RATE, Fraction(9, 10)), 88521),  # one rounding, not two
        (100000, LAST, 6, Return(Method.PRO_RATA, minimum_earned=Fraction(1, 4)), 98356),
        (100000, LAST, 6, Return(Method.SHORT_RATE, Fraction(1), minimum_earned=Fraction(1, 4)), 75000),
        (100000, LAST, 6, Return(Method.NONE), 0),
    ],
)
def test_premium_of_days_given_back_comes_back_by_the_method(
    price: int, ends_on: date, used: int, how: Return, back: int
) -> None:
    stack = a_stack(price)
    ended = stack.put(FIRST + timedelta(days=used), end(how))
    assert charges.premium_of(ended.lines, EUR).net.minor == -back


def test_tax_on_what_comes_back_is_charged_less_kept() -> None:
    for how, tax in ((Return(Method.PRO_RATA), -10284), (Return(Method.SHORT_RATE, Fraction(9, 10)), -9255)):  # T46
        stack = a_stack(tariff=Tariff(TARIFF.taxes[:1]))
        ended = stack.put(JULY, end(how))
        assert charges.premium_of(ended.lines, EUR).tax.minor == tax


@pytest.mark.parametrize(
    ("day", "price", "change"),
    [
        (JULY, 150000, 15123),  # T37
        (JULY, 90000, -15123),  # T38
        (FIRST, 150000, 30000),  # T40
        (LAST - timedelta(days=1), 150000, 82),
    ],
)
def test_endorsement_costs_the_difference_of_the_days_that_are_left(day: date, price: int, change: int) -> None:
    stack = a_stack()
    made = stack.put(day, Delta(answers={"price_liability": price}))
    assert [line.amount.minor for line in made.lines] == [change]
    assert net(stack) == 120000 + change


def test_fees_come_back_only_when_nothing_was_ever_covered() -> None:
    stack = a_stack(tariff=TARIFF)
    ended = stack.put(JULY, end(Return(Method.PRO_RATA)))
    assert charges.premium_of(ended.lines, EUR).fees.minor == 0
    stack.put(JULY, reverses=ended.id)
    assert charges.premium_of(stack.put(FIRST, end(Return(Method.FLAT))).lines, EUR).fees.minor == -2500
    assert amounts(stack.lines()) == {}


def test_change_issued_late_goes_below_the_changes_of_later_days() -> None:
    stack = a_stack()
    stack.put(JULY, Delta(answers={"price_liability": 200000}))
    stack.put(
        date(2025, 3, 1), Delta(answers={"price_liability": 100000}, objects=(InsuredObject("car_2", "car", {}),))
    )
    assert [
        (segment.starts_on, segment.risk.answers["price_liability"], len(segment.risk.objects))
        for segment in stack.term.segments
    ] == [(FIRST, 120000, 1), (date(2025, 3, 1), 100000, 2), (JULY, 200000, 2)]


def test_change_of_an_earlier_term_is_carried_into_a_term_issued_before_it_and_no_other() -> None:
    stack = a_stack()
    stack.put(JULY, Delta(answers={"price_liability": 130000}))
    stack.open(risk(140000), 2, LAST, date(2027, 1, 1))
    stack.put(date(2025, 9, 1), Delta(coverages=(Coverage("glass"),)))
    second = stack.folded()[1].term
    assert [segment.risk.answers["price_liability"] for segment in second.segments] == [140000]
    assert [coverage.code for coverage in second.segments[0].risk.coverages] == ["liability", "glass"]


def test_cancellation_gives_the_terms_behind_it_back() -> None:
    stack = a_stack(tariff=TARIFF)
    stack.open(risk(), 2, LAST, date(2027, 1, 1))
    stack.put(JULY, end(Return(Method.PRO_RATA)))
    first, second = stack.folded()
    assert (first.term.segments[-1].ends_on, second.term.segments, second.term.ended and second.term.ended.kind) == (
        JULY,
        (),
        EndKind.CANCELLED,
    )
    assert {line.term_number for line in stack.lines()} == {1}


def test_earlier_ending_replaces_one_that_was_to_come() -> None:
    stack = a_stack()
    stack.put(date(2025, 9, 1), end(Return(Method.SHORT_RATE, Fraction(9, 10))))
    stack.put(JULY, end(Return(Method.PRO_RATA)))
    (folded,) = stack.folded()
    assert (folded.term.segments[-1].ends_on, folded.retention) == (JULY, {})


def test_reinstatement_with_a_gap_leaves_the_gap_uncovered_and_unpaid() -> None:
    stack = a_stack()
    stack.put(JULY, end(Return(Method.PRO_RATA)))
    stack.put(date(2025, 7, 11), Reopening())
    assert [(each.starts_on, each.ends_on) for each in stack.term.segments] == [
        (FIRST, JULY),
        (date(2025, 7, 11), LAST),
    ]
    assert net(stack) == Money(120000, EUR).times(Fraction(355, 365)).minor


def test_reversal_that_is_reversed_counts_no_longer() -> None:
    stack = a_stack()
    made = stack.put(JULY, Delta(answers={"price_liability": 150000}))
    undone = stack.put(JULY, reverses=made.id)
    stack.put(JULY, reverses=undone.id)
    assert net(stack) == 135123
    assert made in timeline.counting(stack.transactions)


def _had_ended(stack: Stack) -> bool:
    standing = timeline.counting(stack.transactions)[:-1]
    return any(isinstance(entry.change, Ending | Reopening) for entry in standing)
