"""What a term costs, line by line: net premium, taxes, fees, and what is kept of cover that was given back.

The money of any transaction is what the lines are after it less what they were before, and is worked out in no other
way. So tax is once a code and term on the whole premium that is subject to it, and never more comes back than was
charged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from libs.money import Money, total
from libs.premium import ChargeLine, LineKind, Premium
from services.policies.lifecycle.rules.term import EndKind, Term
from services.policies.lifecycle.rules.timeline import TermFold


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax on premium, as a product version has it."""

    code: str
    rate: Fraction
    coverages: frozenset[str] = frozenset()
    """The coverages whose premium is subject to it; all, when none is named."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A fixed amount, free of tax and commission. It is never prorated."""

    code: str
    amount: Money
    of_term: bool = True
    """Whether it is charged once for the term."""
    of_change: bool = False
    """Whether it is charged for each change of what is insured."""
    is_returned: bool = True
    """Whether a flat cancellation returns it; a contract that was not taken always does."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """The taxes and fees of a term, by their codes. They are those of its product version for as long as it lasts."""

    taxes: tuple[Tax, ...] = ()
    fees: tuple[Fee, ...] = ()


def charged(folded: TermFold, tariff: Tariff) -> Term:
    """The term with its charges: what is kept of it, and its taxes and fees.

    Where nothing was covered none is due, but for fees that a flat cancellation does not return.
    """
    term = folded.term
    at_once = ChargeLine(
        LineKind.FEE, Money.zero(term.currency), term.starts_on, term.starts_on, term_number=term.number
    )
    fees = [replace(at_once, amount=due, charge_code=code) for code, due in _fees(folded, tariff).items()]
    if not term.segments:
        return replace(term, charges=tuple(fees))
    kept = [
        replace(at_once, kind=LineKind.RETENTION, amount=amount, coverage_code=coverage_code, object_id=object_id)
        for (object_id, coverage_code), amount in folded.retention.items()
    ]
    net = replace(term, charges=tuple(kept)).lines()
    taxes = [
        replace(at_once, kind=LineKind.TAX, amount=_subject(net, tax, term.currency), charge_code=tax.code)
        for tax in tariff.taxes
    ]
    return replace(term, charges=(*kept, *taxes, *fees))


def _fees(folded: TermFold, tariff: Tariff) -> dict[str, Money]:
    """The fees that are due for a term and for the changes within it, by code."""
    due: dict[str, Money] = {}
    for fee in tariff.fees:
        times = fee.of_term + fee.of_change * folded.changes
        if times and (folded.term.segments or _is_kept(fee, folded.term)):
            due[fee.code] = due.get(fee.code, Money.zero(folded.term.currency)) + fee.amount.times(Fraction(times))
    return due


def _is_kept(fee: Fee, term: Term) -> bool:
    """Whether a fee stays due although nothing of the term was covered."""
    return not fee.is_returned and term.ended is not None and term.ended.kind is not EndKind.NOT_TAKEN


def _subject(net: Sequence[ChargeLine], tax: Tax, currency: str) -> Money:
    """The tax on the premium that is subject to it, rounded once."""
    subject = (line.amount for line in net if not tax.coverages or line.coverage_code in tax.coverages)
    return total(subject, currency).times(tax.rate)


def difference(after: Iterable[ChargeLine], before: Iterable[ChargeLine], effective_on: date) -> list[ChargeLine]:
    """What changed, line by line. What stays the same is left out; what is earned over days is, over those to come."""
    changes = _by_what(after)
    for key, line in _by_what(before).items():
        rest = changes[key].amount - line.amount if key in changes else -line.amount
        changes[key] = replace(line, amount=rest)
    return [
        replace(line, starts_on=min(max(line.starts_on, effective_on), line.ends_on))
        for line in changes.values()
        if line.amount.minor
    ]


def mirrored(lines: Iterable[ChargeLine]) -> list[ChargeLine]:
    """The lines that take others back."""
    return [replace(line, amount=-line.amount) for line in lines]


def premium_of(lines: Iterable[ChargeLine], currency: str) -> Premium:
    """The sums of lines: net with what is kept, tax, fees."""
    amounts: dict[LineKind, list[Money]] = {kind: [] for kind in LineKind}
    for line in lines:
        amounts[line.kind].append(line.amount)
    net = total([*amounts[LineKind.PREMIUM], *amounts[LineKind.RETENTION]], currency)
    return Premium(net, total(amounts[LineKind.TAX], currency), total(amounts[LineKind.FEE], currency))


_What = tuple[LineKind, int, str, str, str]


def _by_what(lines: Iterable[ChargeLine]) -> dict[_What, ChargeLine]:
    """Lines by what they are for. There is one of each."""
    return {(line.kind, line.term_number, line.object_id, line.coverage_code, line.charge_code): line for line in lines}
