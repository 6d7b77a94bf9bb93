"""Installment plans: how an amount is split, and when its parts fall due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from libs.calendar import months_after
from services.payments.billing.rules.amounts import Amounts, nothing


class ChargeTiming(StrEnum):
    """When an amount that is added within a term is billed."""

    SPREAD = "spread"
    AT_ONCE = "at_once"
    NEXT_INSTALLMENT = "next_installment"


@dataclass(frozen=True, slots=True)
class Plan:
    """How what a transaction adds is to be paid."""

    code: str = ""
    count: int = 0
    """Installments of a term that begins; 0 where none does."""
    down_payment: Fraction = Fraction(0)
    """The share of the price, less fees, that falls due with the first installment; 0 for even installments."""
    spreads_fees: bool = False
    charge_timing: ChargeTiming = ChargeTiming.SPREAD
    refunds_credit: bool = False
    """Whether what is given back is paid out, as far as it is not needed for what is open."""


NO_PLAN = Plan()
"""That of a transaction which begins no term."""


@dataclass(frozen=True, slots=True)
class Installment:
    """One part of what is owed for a term."""

    number: int
    due_on: date
    amounts: Amounts


def due_dates(issued_on: date, starts_on: date, count: int) -> list[date]:
    """The first part falls due at issue, the others in even steps over the year that begins with the term."""
    later = [months_after(starts_on, number * 12 // count) for number in range(1, count)]
    return [issued_on, *(max(issued_on, day) for day in later)]


def fees_first(amounts: Amounts, plan: Plan) -> Amounts:
    """The part of an amount that stands in the first installment: its fees, unless the plan spreads them."""
    fees = amounts.fees
    return fees if fees.total.minor > 0 and not plan.spreads_fees else nothing(amounts.currency)


def split(rest: Amounts, first: Amounts, count: int, down_payment: Fraction = Fraction(0)) -> list[Amounts]:
    """What is to be paid in at most `count` parts, each worth something: `rest` evenly, and `first` with the first.

    Of a down payment, the first part has that share of `rest`, and the others what is left, evenly.
    """
    whole = rest + first
    if rest.total.minor <= 0:
        return [whole] if whole.total.minor > 0 else []
    down = rest.share(down_payment)
    if down.total.minor > 0 and count > 1:
        return [first + down, *_even(rest - down, count - 1)]
    parts = _even(rest, count)
    return [first + parts[0], *parts[1:]]


def _even(amounts: Amounts, count: int) -> list[Amounts]:
    """Parts of one minor unit or more; none of what is worth nothing."""
    most = min(count, amounts.total.minor)
    return amounts.split(most) if most > 0 else []
