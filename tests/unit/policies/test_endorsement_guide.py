"""The example in the guide to endorsements, worked out anew, in both orders of issue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from libs.premium import Coverage, Premium
from services.policies.lifecycle.rules.change_request import Request
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.product import TaxRule
from tests.support import guide
from tests.unit.policies.endorsing import a_contract, issued, quoted
from tests.unit.policies.stacks import EUR, TARIFF

SECTION = (
    (guide.DOCS / "endorsements.md").read_text().partition("## Two changes in either order")[2].partition("\n## ")[0]
)
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in SECTION.splitlines() if row.startswith("| ")][
    1:
]
REQUESTS = {
    "2025-07-01": Request(date(2025, 7, 1), {"price_liability": 150000}),
    "2025-04-01": Request(date(2025, 4, 1), {"price_fire": 36500}, added_coverages=(Coverage("fire"),)),
}


def _shown(change: Premium) -> list[Decimal]:
    return [Decimal(money.minor) / 100 for money in (change.net, change.tax, change.total)]


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]], ids=["as shown", "the other way round"])
def test_changes_cost_what_the_guide_says(rows: list[list[str]]) -> None:
    base = a_contract(rules=replace(a_contract().rules[1], taxes=(TaxRule(TARIFF.taxes[0]),), fees=()))
    for _, day, *amounts in rows:
        base, changed = issued(base, quoted(base, REQUESTS[day]))
        assert _shown(premium_of(changed.transaction.lines, EUR)) == [Decimal(amount) for amount in amounts]
    (term,) = base.policy.terms
    net, tax, _ = _shown(premium_of(term.lines(), EUR))
    assert f"comes to {net} and {tax} of tax" in " ".join(SECTION.split())
