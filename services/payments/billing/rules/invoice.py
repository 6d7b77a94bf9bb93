"""The rules of billing: splitting a policy's price into installments, and what may be done with an invoice.

An installment never changes; it is billed when an invoice of it exists, and settled when that invoice is paid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.calendar import day_of, months_after, start_of
from libs.errors import AlreadyExists, Refused
from libs.money import AmountInvalid, CurrencyMismatch, Money
from libs.premium import Premium

BILLED_AHEAD = timedelta(days=7)
"""How long before an installment falls due its invoice is issued."""
FIRST = 1
"""The number of the installment whose payment puts the policy in force."""


class InvoiceAlreadyPaid(Refused):
    """The invoice was paid before."""

    reason = "INVOICE_ALREADY_PAID"


class InvoiceNotPayable(Refused):
    """The invoice is void, or its time is over."""

    reason = "INVOICE_NOT_PAYABLE"


class BillingConflict(AlreadyExists):
    """Another billing exists for the policy with other content."""

    reason = "BILLING_CONFLICT"


class State(StrEnum):
    """Where an invoice stands."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Installment:
    """One part of the price of a policy."""

    number: int
    due_on: date
    premium: Premium


@dataclass(frozen=True, slots=True)
class Billed:
    """What became of an installment: its invoice, and whether that is paid."""

    invoice_id: UUID
    paid: bool


@dataclass(frozen=True, slots=True)
class Billing:
    """How the price of a policy is paid."""

    policy_id: UUID
    user_id: UUID
    transaction_id: UUID
    plan_code: str
    starts_on: date
    issued_at: datetime
    premium: Premium
    payment_method: str
    """Token with which the first invoice is collected; empty where the policyholder pays it."""
    installments: tuple[Installment, ...]
    time_zone: str = "UTC"
    """Where its days begin and end."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """A demand for the payment of one installment."""

    id: UUID
    number: str
    user_id: UUID
    policy_id: UUID
    installment: Installment
    issued_at: datetime
    state: State = State.OPEN
    paid_at: datetime | None = None
    version: int = 1
    time_zone: str = "UTC"
    payable_until: datetime | None = None
    """From when on it cannot be paid; None where there is no such moment."""

    @property
    def amount_due(self) -> Money:
        """What is still to be paid."""
        total = self.installment.premium.total
        return total if self.state is State.OPEN else Money.zero(total.currency)


def number_for(year: int, sequence: int) -> str:
    """The number that people read: `INV-2026-000042`."""
    return f"INV-{year}-{sequence:06d}"


def check_premium(premium: Premium, total: Money) -> None:
    """Raise what is wrong with a price: mixed currencies, a negative part, or parts that are not its total."""
    if min(premium.net.minor, premium.tax.minor, premium.fees.minor) < 0:
        raise AmountInvalid("a part of the premium is negative")
    if premium.total != total:
        if premium.total.currency != total.currency:
            raise CurrencyMismatch(expected=premium.total.currency, actual=total.currency)
        raise AmountInvalid("net, tax and fees do not add up to the total")


def due_dates(issued_on: date, starts_on: date, count: int) -> list[date]:
    """The first part falls due at issue, the others in even steps over the year that begins with the term."""
    later = [months_after(starts_on, number * 12 // count) for number in range(1, count)]
    return [issued_on, *(max(issued_on, day) for day in later)]


def open_billing(
    *,
    policy_id: UUID,
    user_id: UUID,
    transaction_id: UUID,
    plan_code: str,
    count: int,
    starts_on: date,
    issued_at: datetime,
    premium: Premium,
    payment_method: str,
    time_zone: str = "UTC",
) -> Billing:
    """Lay out the installments of an issued policy. `AmountInvalid` when one of them would be of nothing."""
    parts = premium.split(count)
    if any(part.total.minor <= 0 for part in parts):
        raise AmountInvalid(f"{premium.total} cannot be paid in {count} installments")
    days = due_dates(day_of(issued_at, time_zone), starts_on, count)
    installments = tuple(
        Installment(number, day, part) for number, (day, part) in enumerate(zip(days, parts, strict=True), 1)
    )
    return Billing(
        policy_id,
        user_id,
        transaction_id,
        plan_code,
        starts_on,
        issued_at,
        premium,
        payment_method,
        installments,
        time_zone,
    )


def bill(billing: Billing, installment: Installment, now: datetime, *, invoice_id: UUID, number: str) -> Invoice:
    """The invoice of an installment."""
    until = payable_until(installment.number, billing.starts_on, billing.time_zone)
    return Invoice(
        invoice_id,
        number,
        billing.user_id,
        billing.policy_id,
        installment,
        now,
        time_zone=billing.time_zone,
        payable_until=until,
    )


def payable_until(number: int, starts_on: date, time_zone: str) -> datetime | None:
    """The end of the first day of cover, for the installment that puts the policy in force.

    Cover begins with that day, whenever it is paid for: later, it could be bought by those who know what happened.
    """
    if number != FIRST:
        return None
    return start_of(starts_on + timedelta(days=1), time_zone)


def check_payable(invoice: Invoice, expected: Money | None, now: datetime, *, agreed_before: bool = False) -> None:
    """Raise what keeps the invoice from being paid. `expected` is what the payer thinks is due, if they said so.

    A payment that was agreed on with the contract, before anybody could know more, does not depend on when it is made.
    """
    if invoice.state is State.PAID:
        raise InvoiceAlreadyPaid
    if invoice.state is not State.OPEN:
        raise InvoiceNotPayable(state=invoice.state)
    until = invoice.payable_until
    if until and now >= until and not agreed_before:
        raise InvoiceNotPayable(state=invoice.state, payable_until_time=until.isoformat())
    due = invoice.amount_due
    if expected is None:
        return
    if expected.currency != due.currency:
        raise CurrencyMismatch(expected=due.currency, actual=expected.currency)
    if expected != due:
        raise AmountInvalid(f"{due} is due, not {expected}", expected=due, actual=expected)


def pay(invoice: Invoice, paid_at: datetime) -> Invoice:
    """The invoice, paid in full."""
    return replace(invoice, state=State.PAID, paid_at=paid_at, version=invoice.version + 1)


def void(invoice: Invoice) -> Invoice:
    """The invoice, withdrawn."""
    return replace(invoice, state=State.VOID, version=invoice.version + 1)
