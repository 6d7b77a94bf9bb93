"""The rules of invoices: what each demands, what was settled of it, and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.calendar import start_of
from libs.errors import Refused
from libs.money import AmountInvalid, CurrencyMismatch, Money
from services.payments.billing.rules.amounts import Amounts

BILLED_AHEAD = timedelta(days=7)
"""How long before an installment falls due its invoice is issued."""


class InvoiceAlreadyPaid(Refused):
    """The invoice was paid before."""

    reason = "INVOICE_ALREADY_PAID"


class InvoiceNotPayable(Refused):
    """The invoice is void, or its time is over."""

    reason = "INVOICE_NOT_PAYABLE"


class State(StrEnum):
    """Where an invoice stands."""

    OPEN = "open"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    VOID = "void"


UNSETTLED = (State.OPEN, State.PARTIALLY_PAID)
"""The states in which something is still to be paid."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """A demand for payment: of an installment, or of a change that is billed by itself."""

    id: UUID
    policy_id: UUID
    """The policy, and its billing account."""
    user_id: UUID
    """The party that owes."""
    partner_id: UUID | None
    term_number: int
    installment_number: int
    """0 for what is billed by itself."""
    due_on: date
    amounts: Amounts
    issued_at: datetime
    time_zone: str
    payable_until: datetime | None = None
    """From when on it cannot be paid; set for a first premium only that lets cover of its term begin."""
    number: str = ""
    """What people call it; empty until it is stored."""
    settled: int = 0
    """Minor units that payments and credits have settled."""
    state: State = State.OPEN
    paid_at: datetime | None = None
    past_due_at: datetime | None = None
    """When it was seen not to be paid in time."""
    version: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it bills the first premium of the policy."""
        return self.term_number == 1 and self.installment_number == 1

    @property
    def amount_due(self) -> Money:
        """What is still to be paid."""
        total = self.amounts.total
        return total - Money(self.settled, total.currency) if self.state in UNSETTLED else Money.zero(total.currency)


def payable_until(starts_on: date, time_zone: str) -> datetime:
    """The end of the first day of cover, for the invoice that puts the policy in force.

    Cover begins with that day, whenever it is paid for: later, it could be bought by those who know what happened.
    """
    return start_of(starts_on + timedelta(days=1), time_zone)


def check_payable(invoice: Invoice, expected: Money | None, now: datetime, *, agreed_before: bool = False) -> None:
    """Raise what keeps the invoice from being paid. `expected` is what the payer thinks is due, if they said so.

    A payment that was agreed on with the contract, before anybody could know more, does not depend on when it is made.
    """
    if invoice.state is State.PAID:
        raise InvoiceAlreadyPaid
    if invoice.state not in UNSETTLED:
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


def settle(invoice: Invoice, amount: Money, now: datetime) -> Invoice:
    """The invoice, of which a payment or a credit settled an amount: at most what is due."""
    is_paid = amount == invoice.amount_due
    return replace(
        invoice,
        settled=invoice.settled + amount.minor,
        state=State.PAID if is_paid else State.PARTIALLY_PAID,
        paid_at=now if is_paid else None,
        version=invoice.version + 1,
    )


def void(invoice: Invoice) -> Invoice:
    """The invoice, withdrawn."""
    return replace(invoice, state=State.VOID, version=invoice.version + 1)
