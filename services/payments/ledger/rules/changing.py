"""What a transaction of a policy does to the books: each line of its money is posted by its coverage or tax code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from libs.money import Money, total
from libs.premium import ChargeLine, LineKind
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Posting, Subject
from services.payments.ledger.rules.posting import merged

POLICY_CHANGED: Final = "policy_changed"
"""The rule's name."""

INCOME: Final = {
    LineKind.PREMIUM: "2000",
    LineKind.TAX: "2100",
    LineKind.FEE: "4100",
    LineKind.RETENTION: "4110",
}
"""The account that a line of each kind is credited to, and debited where it gives back."""


@dataclass(frozen=True, slots=True)
class Credited:
    """What becomes of money that a transaction gives back. No amount but the first is negative."""

    unbilled: Money
    """Takes away from what is owed and has not been invoiced (1105); negative where more is owed of another term."""
    invoiced: Money
    """Takes away from open invoices (1100)."""
    balance: Money
    """Stays with the account as a credit (2300)."""
    refund: Money
    """Is to be paid out (2310)."""

    @property
    def total(self) -> Money:
        """All that is given back."""
        return self.unbilled + self.invoiced + self.balance + self.refund


def policy_changed(
    source_id: str,
    subject: Subject,
    day: date,
    lines: Sequence[ChargeLine],
    *,
    credited: Credited | None = None,
    written_on: date | None = None,
) -> Journal | None:
    """The journal of a transaction with its lines; None when they take away what they add, account by account.

    What the lines add up to is owed, and not billed (1105), or is `credited` when it is negative: there, nothing
    given means that all of it reduces what is not billed. `ValueError` when `credited` is not exactly what is given
    back: it is a mistake of the caller.
    """
    if not lines:
        return None
    currency = lines[0].amount.currency
    change = total((line.amount for line in lines), currency)
    postings = [*_owed(change, credited), *_posted(lines, currency)]
    if not postings:
        return None
    return Journal(POLICY_CHANGED, source_id, subject, day, merged(postings), written_on)


def _owed(change: Money, credited: Credited | None) -> list[Posting]:
    """The postings on the accounts that say what is owed, and to whom."""
    if credited is None:
        return [_posting("1105", -change)] if change.minor else []
    if credited.total != -change:
        raise ValueError(f"{credited.total} is not what is given back by a change of {change}")
    parts = (
        ("1105", credited.unbilled),
        ("1100", credited.invoiced),
        ("2300", credited.balance),
        ("2310", credited.refund),
    )
    if any(amount.minor < 0 for _, amount in parts[1:]):
        raise ValueError(f"{credited} gives back less than nothing")
    return [_posting(account, amount) for account, amount in parts if amount.minor]


def _posted(lines: Iterable[ChargeLine], currency: str) -> list[Posting]:
    """A posting for each kind, code and term of the lines, of what they add up to; none where that is zero."""
    sums: dict[tuple[str, str, str, int], Money] = {}
    for line in lines:
        tax_code = line.charge_code if line.kind is LineKind.TAX else ""
        key = (INCOME[line.kind], line.coverage_code, tax_code, line.term_number)
        sums[key] = sums.get(key, Money.zero(currency)) + line.amount
    return [
        _posting(account, amount, coverage_code, tax_code, term_number)
        for (account, coverage_code, tax_code, term_number), amount in sums.items()
        if amount.minor
    ]


def _posting(account: str, credit: Money, coverage_code: str = "", tax_code: str = "", term_number: int = 0) -> Posting:
    """A credit, or a debit where the amount is negative."""
    side = Side.CREDIT if credit.minor > 0 else Side.DEBIT
    return Posting(account, side, credit if credit.minor > 0 else -credit, coverage_code, tax_code, term_number)
