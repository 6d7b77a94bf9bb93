"""The examples of the guide to policies about a lapse and what puts a policy back, worked out anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from libs.money import Money
from libs.premium import LineKind
from services.policies.lifecycle.rules import lapse, reinstatement
from services.policies.lifecycle.rules.charges import Tax
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ReinstatementRule, TaxRule
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from tests.support import guide
from tests.unit.policies.contracts import RULES
from tests.unit.policies.stacks import EUR
from tests.unit.policies.test_lapse import ASKED, NOW, in_force
from tests.unit.policies.test_reinstatement import follow

HEAD = "| line | before | after | change |"
LAPSE, GAP = (
    [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:] if row.startswith("|")]
    for table in (guide.DOCS / "policies.md").read_text().partition("### A lapse, worked out")[2].split(HEAD)[1:3]
)
PRODUCT = replace(
    RULES, taxes=(TaxRule(Tax("premium_tax", Fraction(17, 100))),), reinstatement=ReinstatementRule(30, with_gap=True)
)


def _paid() -> Contract:
    """A policy of that product that is paid for."""
    made = replace(in_force(), rules={1: PRODUCT})
    return replace(made, policy=replace(made.policy, terms=made.terms_of(made.stack)))


def _costs(policy: Policy) -> dict[str, Decimal]:
    lines = [line for term in policy.terms for line in term.lines()]
    costs = {
        kind.value: Decimal(sum(line.amount.minor for line in lines if line.kind is kind)) / 100 for kind in LineKind
    }
    return {name: amount for name, amount in costs.items() if amount} | {"total": sum(costs.values(), Decimal(0))}


def _table(before: Policy, after: Policy) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    old, new = _costs(before), _costs(after)
    return [(name, old[name], new[name], new[name] - old[name]) for name in old]


def _shown(rows: list[list[str]]) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    return [(name, Decimal(before), Decimal(after), Decimal(change)) for name, before, after, change in rows]


def test_lapse_and_reinstatement_cost_what_the_guide_says() -> None:
    made = _paid()
    lapsed = lapse.lapse(made, ASKED, "dlq", NOW, transaction_id=UUID(int=99))
    assert _shown(LAPSE) == _table(lapsed.before, lapsed.after)

    def back(asked: Reinstatement, now: datetime) -> Policy:
        ended = follow(made, lapsed)
        return reinstatement.reinstate(ended, asked, Money.zero(EUR), (), now, transaction_id=UUID(int=100)).after

    with_gap = back(Reinstatement(with_gap=True, statement="No loss."), datetime(2025, 3, 12, 9, tzinfo=UTC))
    assert _shown(GAP) == _table(lapsed.after, with_gap)
    assert _costs(back(Reinstatement(statement="No loss."), NOW)) == _costs(made.policy)
