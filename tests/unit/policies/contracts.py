"""Contracts for tests: a stack, with the prices that it was issued with and the rules of its product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

from libs.money import Money
from services.policies.lifecycle.rules import charges, timeline
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import CancellationRule, CoverRule, FeeRule, ProductRules, TaxRule
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.term import Item, Risk
from services.policies.lifecycle.rules.transaction import CoverStart, Delta, Opening, Price, Transaction
from tests.unit.policies.stacks import EUR, FIRST, TARIFF, Stack, rate, risk

NOBODY = UUID(int=0)
BEFORE = datetime(2024, 12, 20, 12, tzinfo=UTC)  # before the first day
SHORT_RATE = Return(Method.SHORT_RATE, Fraction(9, 10))
TABLE = Return(Method.TABLE, table=((1, Fraction(1, 4)), (75, Fraction(31, 100)), (150, Fraction(52, 100))))
CUSTOMER, AGENT, UNDERWRITER = frozenset({"customer"}), frozenset({"agent"}), frozenset({"underwriter"})
CANCELLATIONS = (
    CancellationRule("insured_request", CUSTOMER | AGENT, SHORT_RATE),
    CancellationRule("moved_away", CUSTOMER | AGENT, Return(Method.PRO_RATA)),
    CancellationRule("cooling_off", CUSTOMER | AGENT, Return(Method.FLAT), within_days=14),
    CancellationRule("withdrawn", UNDERWRITER, Return(Method.PRO_RATA)),
    CancellationRule("by_table", UNDERWRITER, TABLE),
    CancellationRule("insurer", UNDERWRITER, Return(Method.PRO_RATA), notice_days=30),
    CancellationRule("non_payment", frozenset({"system", "underwriter"}), Return(Method.PRO_RATA)),
    CancellationRule("total_loss", frozenset({"adjuster"}), Return(Method.NONE)),
)
RULES = ProductRules(
    "motor",
    1,
    tuple(TaxRule(tax) for tax in TARIFF.taxes),
    tuple(FeeRule(fee.code, fee.amount, frozenset({"new_business", "renewal"})) for fee in TARIFF.fees),
    CoverRule(backdating_days={"underwriter": 30}),
    cancellations=CANCELLATIONS,
)


def priced(transactions: list[Transaction]) -> list[Transaction]:
    """The stack as it is issued: each change of what is insured brings the prices that its terms came to."""
    bearing: list[Transaction] = []
    for transaction in transactions:
        prices: list[Price] = []
        if isinstance(transaction.change, Delta | Opening):

            def noted(opening: Opening, shown: Risk, seen: list[Price] = prices) -> Mapping[Item, Money]:
                full_term = rate(opening, shown)
                seen.append(Price(opening.term_number, shown, full_term))
                return full_term

            timeline.fold([*bearing, transaction], noted, EUR)
        bearing.append(replace(transaction, prices=tuple(prices)))
    return bearing


def policy_of(stack: Stack, *, is_paid: bool = False) -> Policy:
    """The policy that a stack comes to."""
    terms = tuple(charges.charged(folded, stack.tariff) for folded in stack.folded())
    activated_at = BEFORE if is_paid else None
    return Policy(
        NOBODY, "MOT-2025-000001", NOBODY, NOBODY, NOBODY, None, NOBODY, "motor", 1, "annual", "UTC", BEFORE, terms,
        activated_at,
    )  # fmt: skip


def contract_of(stack: Stack, rules: ProductRules = RULES, *, is_paid: bool = False) -> Contract:
    """The contract that a stack comes to."""
    return Contract(policy_of(stack, is_paid=is_paid), tuple(priced(stack.transactions)), {1: rules})


def paid(price: int = 120000) -> Stack:
    """A policy that is paid for before its first day, with one coverage, one tax and a fee."""
    stack = Stack(tariff=replace(TARIFF, taxes=TARIFF.taxes[:1]))
    stack.open(risk(price))
    stack.put(FIRST, CoverStart(1, datetime(2025, 1, 1, tzinfo=UTC)))
    return stack
