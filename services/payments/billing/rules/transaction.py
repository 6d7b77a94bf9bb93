"""What payments is told of a transaction of a policy, and what makes it wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from libs.errors import AlreadyExists, Conflict, Invalid
from libs.money import CurrencyMismatch, Money, round_half_even, total
from libs.premium import ChargeLine, LineKind
from services.payments.billing.rules.amounts import Amounts
from services.payments.billing.rules.plan import NO_PLAN, Plan


class TransactionOutOfOrder(Conflict):
    """Another transaction of the policy has to be applied before this one."""

    reason = "TRANSACTION_OUT_OF_ORDER"


class BillingConflict(AlreadyExists):
    """The transaction was applied with other content, or another one in its place."""

    reason = "BILLING_CONFLICT"


class PremiumMismatch(Invalid):
    """The lines of the transaction do not add up."""

    reason = "PREMIUM_MISMATCH"


class Kind(StrEnum):
    """What a transaction does."""

    NEW_BUSINESS = "new_business"
    NOT_TAKEN = "not_taken"
    ENDORSEMENT = "endorsement"
    RENEWAL = "renewal"
    CANCELLATION = "cancellation"
    LAPSE = "lapse"
    REINSTATEMENT = "reinstatement"
    REVERSAL = "reversal"
    SERVICING = "servicing"


ENDINGS = frozenset({Kind.NOT_TAKEN, Kind.CANCELLATION, Kind.LAPSE})
"""What ends cover before the end of the term."""


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """Net premium over a stretch of a term within which it does not change."""

    term_number: int
    object_id: str
    coverage_code: str
    starts_on: date
    ends_on: date
    full_term_amount: Money
    term_days: int

    @property
    def written(self) -> Fraction:
        """Its exact part of what is written, in minor units."""
        return Fraction(self.full_term_amount.minor * (self.ends_on - self.starts_on).days, self.term_days)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A change of a policy as far as it is billed."""

    id: UUID
    policy_id: UUID
    sequence: int
    kind: Kind
    term_number: int
    customer_id: UUID
    payer_id: UUID
    partner_id: UUID | None
    product_code: str
    product_version: int
    time_zone: str
    term_starts_on: date
    term_ends_on: date | None
    """None in what was applied before policies said so."""
    effective_on: date
    issued_at: datetime
    total: Money
    lines: tuple[ChargeLine, ...]
    timeline: tuple[TimelineLine, ...] = ()
    plan: Plan = NO_PLAN
    reverses: UUID | None = None
    reason: str = ""
    refund_not_before: date | None = None
    """The first day on which what it gives back is paid out; None for the day that its kind says."""
    payment_method: str = ""
    """Token with which the first premium is collected; empty where the payer pays it."""
    payment_method_id: UUID | None = None
    """The payment method of the payer with which it is collected, where there is no token."""
    arrears_seen: Money | None = None
    """Of a reinstatement: what was past due when it was decided."""
    first_payable_until: datetime | None = None
    """Of a next term that counts only once its first premium is paid: from when on that can no longer be."""

    @property
    def currency(self) -> str:
        """The one currency of all its amounts."""
        return self.total.currency

    @property
    def amounts(self) -> Amounts:
        """What it adds, by what it is for."""
        return Amounts.of_lines(self.lines, self.currency)


def check(transaction: Transaction) -> None:
    """Raise what is wrong with the amounts of the transaction: their currencies, and their total."""
    amounts = total((line.amount for line in transaction.lines), transaction.currency)
    if amounts != transaction.total:
        raise PremiumMismatch(f"the lines add up to {amounts}, not to {transaction.total}", line="total")
    for stretch in transaction.timeline:
        if stretch.full_term_amount.currency != transaction.currency:
            raise CurrencyMismatch(expected=transaction.currency, actual=stretch.full_term_amount.currency)


def check_lines(lines: Iterable[ChargeLine]) -> None:
    """`PremiumMismatch` for a line that is of no coverage, tax or fee, or whose days end before they begin."""
    for number, line in enumerate(lines, 1):
        of_premium = line.kind in (LineKind.PREMIUM, LineKind.RETENTION)
        if line.ends_on < line.starts_on or not (line.coverage_code if of_premium else line.charge_code):
            raise PremiumMismatch(f"line {number} is no {line.kind} of a coverage, tax or fee", line=number)


def check_order(transaction: Transaction, last_sequence: int) -> None:
    """Unless the transaction, which was not applied, is the next one: `TransactionOutOfOrder`, or `BillingConflict`
    when another one stands in its place.
    """
    if transaction.sequence <= last_sequence:
        raise BillingConflict
    if transaction.sequence != last_sequence + 1:
        raise TransactionOutOfOrder(expected=last_sequence + 1)


def check_timeline(timeline: Sequence[TimelineLine], charged: Iterable[ChargeLine]) -> None:
    """`PremiumMismatch` where the charged lines of a term are not what its timeline comes to.

    `charged` are the lines of all transactions of the terms on the timeline, with this one. What is written of an
    object and coverage is the exact sum of its stretches, rounded once. Terms whose lines name no coverage, as those of
    policies that were billed before there were lines, are compared as a whole.
    """
    terms = {stretch.term_number for stretch in timeline}
    lines = [line for line in charged if line.kind is LineKind.PREMIUM and line.term_number in terms]
    whole = {line.term_number for line in lines if not line.coverage_code}
    exact: dict[tuple[int, str, str], Fraction] = {}
    for stretch in timeline:
        item = (stretch.term_number, stretch.object_id, stretch.coverage_code)
        exact[item] = exact.get(item, Fraction(0)) + stretch.written
    written: dict[tuple[int, str, str], int] = {}
    for (term, object_id, coverage), amount in exact.items():
        item = (term, "", "") if term in whole else (term, object_id, coverage)
        written[item] = written.get(item, 0) + round_half_even(amount)
    for line in lines:
        term = line.term_number
        item = (term, "", "") if term in whole else (term, line.object_id, line.coverage_code)
        written[item] = written.get(item, 0) - line.amount.minor
    for (_, object_id, coverage), difference in written.items():
        if difference:
            raise PremiumMismatch(
                "the lines are not what the timeline comes to", line=f"{object_id}/{coverage}".strip("/") or "net"
            )
