"""The rules of payments: one attempt to collect an invoice, from its beginning to an end that never changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.errors import DomainError, Refused
from libs.money import Money
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.rules.payment_method import PaymentMethodInvalid
from services.payments.collection.rules.provider import (
    ActionRequired,
    Canceled,
    Charged,
    Declined,
    MethodUnknown,
    Outcome,
)

GIVEN_UP_AFTER = timedelta(seconds=30)
"""A payment that the provider has not heard of after this time is canceled. Twice the time its answer may take."""
ACTION_WITHIN = timedelta(hours=1)
"""How long a payer has to act; then the invoice is free for another payment."""
ASKED_AFTER = (timedelta(seconds=30), *(timedelta(minutes=wait) for wait in (2, 4, 4, 4, 46)), timedelta(days=1))
"""The waits before the provider is asked for an outcome: the first, the second, …; the last one goes on.

Within the 15 minutes of the objective `payment_finality` none is longer than four minutes, so that a short outage of
the provider costs no payment its objective. The last wait before a day ends just after the payer's hour.
"""


class PaymentDeclined(Refused):
    """The payment provider declined."""

    reason = "PAYMENT_DECLINED"


class PaymentInProgress(Refused):
    """A payment of this invoice, or of another one of its billing account, is under way."""

    reason = "PAYMENT_IN_PROGRESS"


class State(StrEnum):
    """How far a payment has come."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELED = "canceled"


OPEN = (State.PROCESSING, State.REQUIRES_ACTION)
"""The states that are no end."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to collect an invoice."""

    id: UUID
    invoice_id: UUID
    account_id: UUID | None
    """The billing account; None for payments that were begun before there were accounts."""
    user_id: UUID
    amount: Money
    provider: str
    created_at: datetime
    state: State = State.PROCESSING
    provider_reference: str = ""
    decline_code: str = ""
    action_url: str = ""
    completed_at: datetime | None = None
    version: int = 1
    attempt: str = ""
    """Which try of the platform to collect the invoice it is; empty for a payment that the payer began."""

    @property
    def is_open(self) -> bool:
        """Whether it has not come to its end."""
        return self.state in OPEN


def begin(invoice: Invoice, provider: str, now: datetime, *, payment_id: UUID, attempt: str = "") -> Payment:
    """A payment of all that is due."""
    account_id, due = invoice.policy_id, invoice.amount_due
    return Payment(payment_id, invoice.id, account_id, invoice.user_id, due, provider, now, attempt=attempt)


def apply(payment: Payment, outcome: Outcome, now: datetime) -> Payment:
    """The payment after the provider's answer; the very same one when the answer changes nothing.

    A payment at its end never changes. An answer that contradicts what was asked for is taken as no answer.
    """
    if not payment.is_open:
        return payment
    match outcome:
        case Charged(reference, amount) if amount == payment.amount:
            return _ended(payment, State.SUCCEEDED, now, reference)
        case Declined(reference, code):
            return _ended(payment, State.DECLINED, now, reference, code)
        case Canceled() | MethodUnknown():
            return _ended(payment, State.CANCELED, now, payment.provider_reference)
        case ActionRequired(reference, url) if payment.state is State.PROCESSING:
            return replace(
                payment,
                state=State.REQUIRES_ACTION,
                provider_reference=reference,
                action_url=url,
                version=payment.version + 1,
            )
        case _:
            return payment


def contradicts(payment: Payment, outcome: Outcome) -> bool:
    """Whether the provider's answer cannot be true of this payment, so that people have to look."""
    if not isinstance(outcome, Charged):
        return False
    return outcome.amount != payment.amount or payment.state in (State.DECLINED, State.CANCELED)


def refusal(payment: Payment, outcome: Outcome) -> DomainError | None:
    """The error that a payer is told, if the payment ended in one."""
    if isinstance(outcome, MethodUnknown):
        return PaymentMethodInvalid()
    if payment.state is State.DECLINED:
        return PaymentDeclined(decline_code=payment.decline_code)
    return None


def is_overdue(payment: Payment, outcome: Outcome | None, now: datetime) -> bool:
    """Whether to give up an open payment, after the provider was asked for it."""
    age = now - payment.created_at
    if outcome is None:
        return age >= GIVEN_UP_AFTER
    return isinstance(outcome, ActionRequired) and age >= ACTION_WITHIN


def ask_after(attempt: int) -> timedelta:
    """How long to wait before the provider is asked, for the first time with `attempt` 0."""
    return ASKED_AFTER[min(attempt, len(ASKED_AFTER) - 1)]


def _ended(payment: Payment, state: State, now: datetime, reference: str, code: str = "") -> Payment:
    return replace(
        payment,
        state=state,
        provider_reference=reference,
        decline_code=code,
        action_url="",
        completed_at=now,
        version=payment.version + 1,
    )
