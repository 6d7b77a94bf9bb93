"""The worked example of renewals in `docs/policies.md`: its numbers are those of the rules."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.product import RenewalRule
from tests.unit.policies.renewing import EUR, IN_GRACE, ON_PAYMENT, activated, at, contract, quote, renewed

EARLY, LATE = date(2025, 11, 17), date(2026, 1, 11)
GUIDE = Path(__file__).parents[3] / "docs" / "policies.md"


def row(day: date, rule: RenewalRule, paid_at: datetime | None, note: str) -> str:
    """A row of the table, as a renewal on a day comes to."""
    made = renewed(contract(rule), quote(), at(day))
    premium = premium_of(made.policy.terms[1].lines(), EUR)
    made = activated(made, 2, paid_at) if paid_at else made
    starts_at = made.policy.terms[1].cover_starts_at
    assert starts_at is not None
    cover = "in_grace" if rule.covers_in_grace else "on_payment"
    amounts = (str(money).removesuffix(f" {EUR}") for money in (premium.net, premium.tax, premium.fees, premium.total))
    return f"| {day} | `{cover}` | {' | '.join(amounts)} | {starts_at:%Y-%m-%d %H:%M}, {note} |"


@pytest.mark.parametrize(
    ("day", "rule", "paid_at", "note"),
    [
        (EARLY, IN_GRACE, None, "paid or not"),
        (EARLY, ON_PAYMENT, at(date(2025, 12, 20)), "paid on 2025-12-20"),
        (LATE, IN_GRACE, at(LATE, 13), "paid then"),
        (LATE, ON_PAYMENT, at(LATE, 13), "paid then"),
    ],
)
def test_table_of_the_guide_says_what_a_renewal_comes_to(
    day: date, rule: RenewalRule, paid_at: datetime | None, note: str
) -> None:
    assert row(day, rule, paid_at, note) in GUIDE.read_text().splitlines()
