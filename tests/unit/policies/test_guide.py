"""The examples of the guide to policies, worked out anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from libs.premium import LineKind
from services.policies.lifecycle.rules import cancellation
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.product import TaxRule
from services.policies.lifecycle.rules.term import Term
from tests.support import guide
from tests.unit.policies.contracts import CUSTOMER, RULES, UNDERWRITER, contract_of, paid
from tests.unit.policies.stacks import TARIFF

HEAD = "| line | before | after | change |"
PRO_RATA, SHORT_RATE = (
    [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:] if row.startswith("|")]
    for table in (guide.DOCS / "policies.md").read_text().partition("### An example")[2].split(HEAD)[1:3]
)


def _costs(term: Term, kind: LineKind) -> Decimal:
    return Decimal(sum(line.amount.minor for line in term.lines() if line.kind is kind)) / 100


@pytest.mark.parametrize(
    ("reason", "rows"), [("withdrawn", PRO_RATA), ("insured_request", SHORT_RATE)], ids=["pro rata", "short rate"]
)
def test_cancellation_costs_what_the_guide_says(reason: str, rows: list[list[str]]) -> None:
    made = contract_of(paid(120000), replace(RULES, taxes=(TaxRule(TARIFF.taxes[0]),)), is_paid=True)
    now = datetime(2025, 3, 1, tzinfo=UTC)
    wish = Wish(reason, UNDERWRITER | CUSTOMER, date(2025, 7, 1))
    changed = cancellation.cancel(made, wish, (), now, transaction_id=UUID(int=9))
    (before,), (after,) = made.policy.terms, changed.after.terms
    expected = {kind.value: (_costs(before, kind), _costs(after, kind)) for kind in LineKind}
    zero = Decimal(0)
    expected["total"] = (
        sum((old for old, _ in expected.values()), zero),
        sum((new for _, new in expected.values()), zero),
    )
    shown = {name: (Decimal(old), Decimal(new)) for name, old, new, _ in rows}
    assert shown == {name: amounts for name, amounts in expected.items() if any(amounts)}
    assert [Decimal(change) for *_, change in rows] == [new - old for old, new in shown.values()]
