"""What a payment provider can do for the platform, and what it may answer.

The payment's id is the provider's idempotency key: whatever is asked twice about one payment happens once. So is the
id of a part of a refund.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from libs.money import Money
from services.payments.billing.rules.refund import Outcome as RefundOutcome


@dataclass(frozen=True, slots=True)
class Charged:
    """The money is collected."""

    reference: str
    amount: Money
    """What the provider says it collected."""


@dataclass(frozen=True, slots=True)
class Declined:
    """No money moved, and none will."""

    reference: str
    code: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The payer has to act at `url` before the payment goes on."""

    reference: str
    url: str


@dataclass(frozen=True, slots=True)
class MethodUnknown:
    """The provider does not know the payment method; nothing was begun."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """The payment was given up before any money moved, and can never be charged."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or one that cannot be understood: money may have moved."""


Outcome = Charged | Declined | ActionRequired | MethodUnknown | Canceled | Unknown


class ProviderMissing(ValueError):
    """Nobody said who collects money."""

    def __init__(self) -> None:
        super().__init__(
            "payments.provider: production needs to be told one. `sandbox`, the only one there is, takes cards that"
            " everybody knows and collects no money: for trying out"
        )


class Provider(Protocol):
    """A payment provider. No method is called while a transaction is open; an answer that fails is `Unknown`."""

    name: str

    def knows(self, payment_method: str, seconds: float) -> bool:
        """Whether a token is one that the provider gave to somebody."""

    def charge(self, payment_id: UUID, amount: Money, payment_method: str, seconds: float) -> Outcome:
        """Collect an amount, waiting no longer than `seconds`. Repeated, it returns what came of the first time."""

    def confirm(self, payment_id: UUID, seconds: float) -> Outcome:
        """Go on with a payment whose payer acted. One that is not waiting is returned as it is."""

    def cancel(self, payment_id: UUID, seconds: float) -> Outcome:
        """Make sure that the payment is never charged from now on, even if a request for it is still on its way.

        One that came to its end before is returned as it is.
        """

    def find(self, payment_id: UUID, seconds: float) -> Outcome | None:
        """What became of a payment; None when the provider never heard of it."""

    def refund(self, refund_id: UUID, payment_id: UUID, amount: Money, seconds: float) -> RefundOutcome:
        """Pay back a part of what a payment collected. Repeated, it returns what came of the first time."""

    def find_refund(self, refund_id: UUID, seconds: float) -> RefundOutcome | None:
        """What became of a refund; None when the provider never heard of it. One that arrived may come back later."""
