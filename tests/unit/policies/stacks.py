"""Stacks of transactions for tests: with a rating that is simple and exact, and any history that hypothesis makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject
from services.policies.lifecycle.rules import charges, timeline
from services.policies.lifecycle.rules.charges import Fee, Tariff, Tax
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.term import EndKind, Item, Risk, Term
from services.policies.lifecycle.rules.timeline import TermFold
from services.policies.lifecycle.rules.transaction import (
    Delta,
    Ending,
    Opening,
    Reopening,
    Transaction,
    TransactionType,
)

EUR = "EUR"
FIRST, LAST = date(2025, 1, 1), date(2026, 1, 1)
COVERAGES = ("liability", "fire", "glass")
CARS = ("car_1", "car_2", "car_3")
TARIFF = Tariff(
    (Tax("premium_tax", Fraction(17, 100)), Tax("levy", Fraction(1, 40), frozenset({"liability"}))),
    (Fee("policy_fee", Money(2500, EUR)),),
)
TYPES = {
    Opening: TransactionType.NEW_BUSINESS,
    Delta: TransactionType.ENDORSEMENT,
    Ending: TransactionType.CANCELLATION,
    Reopening: TransactionType.REINSTATEMENT,
}


def risk(price: int = 120000, cars: tuple[str, ...] = CARS[:1], coverages: tuple[str, ...] = COVERAGES[:1]) -> Risk:
    """A risk whose price is its answer."""
    return Risk(
        {f"price_{code}": price + index for index, code in enumerate(COVERAGES)},
        tuple(InsuredObject(car, "car", {}) for car in cars),
        tuple(Coverage(code) for code in coverages),
    )


def rate(opening: Opening, risk: Risk) -> Mapping[Item, Money]:
    """Each coverage costs its answer, for each car."""
    return {
        (car.id, coverage.code): Money(int(str(risk.answers[f"price_{coverage.code}"])), EUR)
        for car in risk.objects
        for coverage in risk.coverages
    }


def end(how: Return) -> Ending:
    """A cancellation."""
    return Ending(EndKind.CANCELLED, how)


@dataclass
class Stack:
    """A policy that transactions are put on, each with its lines."""

    transactions: list[Transaction] = field(default_factory=list)
    tariff: Tariff = TARIFF

    def open(self, opened: Risk, number: int = 1, starts_on: date = FIRST, ends_on: date = LAST) -> Transaction:
        """New business, or the next term."""
        return self.put(starts_on, Opening(number, starts_on, ends_on, 1, opened))

    def put(self, day: date, change: Any = None, reverses: UUID | None = None) -> Transaction:
        """Issue a transaction; its lines are after less before."""
        number = len(self.transactions) + 1
        kind = TYPES.get(type(change), TransactionType.REVERSAL)
        moment = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        transaction = Transaction(UUID(int=number), number, kind, day, moment, change, reverses)
        before = self.lines()
        self.transactions.append(transaction)
        lines = tuple(charges.difference(self.lines(), before, day))
        self.transactions[-1] = replace(transaction, lines=lines)
        return self.transactions[-1]

    def folded(self) -> list[TermFold]:
        """The terms that it comes to."""
        return timeline.fold(self.transactions, rate, EUR)

    @property
    def term(self) -> Term:
        """Its first term."""
        return self.folded()[0].term

    def lines(self) -> list[ChargeLine]:
        """What it costs."""
        return [line for folded in self.folded() for line in charges.charged(folded, self.tariff).lines()]


def amounts(*groups: Any) -> dict[tuple[object, ...], int]:
    """The sum of lines of each thing that is charged, but for zeros."""
    sums: dict[tuple[object, ...], int] = {}
    for line in (line for group in groups for line in group):
        key = (line.kind, line.term_number, line.object_id, line.coverage_code, line.charge_code)
        sums[key] = sums.get(key, 0) + line.amount.minor
    return {key: amount for key, amount in sums.items() if amount}


days = st.integers(0, (LAST - FIRST).days - 1).map(lambda offset: FIRST + timedelta(days=offset))
prices = st.integers(0, 3_000_00)
deltas = st.builds(
    Delta,
    answers=st.dictionaries(st.sampled_from([f"price_{code}" for code in COVERAGES]), prices, max_size=2),
    objects=st.sampled_from([(), (InsuredObject("car_2", "car", {}),), (InsuredObject("car_3", "car", {}),)]),
    removed_objects=st.sampled_from([frozenset[str](), frozenset({"car_2"}), frozenset({"car_1"})]),
    coverages=st.sampled_from([(), (Coverage("fire"),), (Coverage("glass"),)]),
    removed_coverages=st.sampled_from([frozenset[str](), frozenset({"fire"})]),
)
returns = st.one_of(
    st.just(Return(Method.FLAT)),
    st.just(Return(Method.PRO_RATA)),
    st.just(Return(Method.NONE)),
    st.builds(
        Return,
        st.just(Method.SHORT_RATE),
        st.sampled_from([Fraction(9, 10), Fraction(1), Fraction(1, 2)]),
        minimum_earned=st.sampled_from([Fraction(0), Fraction(1, 4)]),
    ),
    st.builds(
        Return,
        st.just(Method.TABLE),
        table=st.just(((1, Fraction(1, 4)), (75, Fraction(31, 100)), (150, Fraction(52, 100)), (338, Fraction(1)))),
    ),
)
steps = st.one_of(
    st.tuples(st.just("change"), days, deltas),
    st.tuples(st.just("change"), days, deltas),
    st.tuples(st.just("end"), days, returns),
    st.tuples(st.just("go_on"), days, st.none()),
    st.tuples(st.just("take_back"), days, st.none()),
)


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """Any history of a policy: changes on any day, endings, reinstatements, and reversals of what came last."""
    stack = Stack()
    stack.open(risk(draw(prices), CARS[: draw(st.integers(1, 2))], COVERAGES[: draw(st.integers(1, 2))]))
    for step, day, argument in draw(st.lists(steps, max_size=8)):
        last = stack.transactions[-1]
        if isinstance(argument, Delta):
            stack.put(day, argument)
        elif isinstance(argument, Return):
            stack.put(day, end(argument))
        elif step == "go_on":
            stack.put(day, Reopening())
        elif last.sequence > 1 and last.reverses is None:
            stack.put(last.effective_on, reverses=last.id)
    return stack
