"""What a payer can be charged with: a token of the payment provider, and the mandate to use it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.errors import Invalid, Refused


class PaymentMethodInvalid(Invalid):
    """The payment method is unknown to the provider."""

    reason = "PAYMENT_METHOD_INVALID"


class MethodInUse(Refused):
    """The payment method collects the invoices of a billing account."""

    reason = "METHOD_IN_USE"


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A payment method that a payer keeps. Its token is not shown, and read only to charge."""

    id: UUID
    user_id: UUID
    """The party whose it is."""
    provider: str
    display_name: str
    mandate_text: str
    is_default: bool
    created_at: datetime
