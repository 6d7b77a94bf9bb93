"""How the money of a transaction is to be settled, and what payments expects to come of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from libs.money import Money
from libs.premium import Premium


class ChargeTiming(StrEnum):
    """When an amount that is added within a term is billed."""

    SPREAD = "spread"  # evenly over the installments that are planned; at once where none is
    AT_ONCE = "at_once"
    NEXT_INSTALLMENT = "next_installment"


class CreditTiming(StrEnum):
    """What becomes of an amount that is given back, when it has settled what is planned and what is open."""

    ACCOUNT = "account"  # it stays there, and settles the next invoices
    REFUND = "refund"  # it is paid out


@dataclass(frozen=True, slots=True)
class Settlement:
    """How what a transaction adds or gives back is to be settled."""

    charge: ChargeTiming = ChargeTiming.SPREAD
    credit: CreditTiming = CreditTiming.ACCOUNT
    refund_not_before: date | None = None
    """The first day on which a refund may be sent; None where it need not wait."""
    arrears_seen: Money | None = None
    """What was past due when it was decided; None where nobody looked."""
    plan_code: str = ""
    """The installment plan of a next term that begins; empty where none does."""


AS_USUAL: Final = Settlement()
"""What is added is spread over the installments, what is given back stays on the account."""


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """An installment that is planned after a transaction."""

    term_number: int
    number: int
    due_on: date
    premium: Premium


@dataclass(frozen=True, slots=True)
class Forecast:
    """What payments expects to come of a transaction. A payment that ends before it is applied changes it."""

    refund: Money
    balance_due: Money
    planned: tuple[PlannedPart, ...] = ()
