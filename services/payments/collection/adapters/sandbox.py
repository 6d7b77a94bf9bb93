"""A payment provider for development and tests. It charges nobody, and keeps its book as a real one would: in
transactions of its own, by the payment's id, whatever happens to the process that asked.

Its cards, by the token that a payer would have been given:

| token | what happens |
|---|---|
| `pm_card_ok` | charged |
| `pm_card_declined` | declined, `card_declined` |
| `pm_card_insufficient_funds` | declined, `insufficient_funds` |
| `pm_card_action` | the payer has to act; confirming it then succeeds |
| `pm_card_timeout` | charged, but the answer is lost: the outcome is unknown until it is asked for |
| `pm_card_refund_declined` | charged; what is paid back is refused, `refund_declined` |
| `pm_card_refund_expired` | charged; nothing can be paid back, `method_expired` |
| `pm_card_refund_timeout` | charged; paid back, but the answer is lost: it is unknown until it is asked for |
| `pm_card_refund_pending` | charged; paid back, but whether it arrives is unknown until it is asked for once |
| `pm_card_refund_returned` | charged; paid back, and later it turns out that it came back, `returned_by_bank` |
| any other | the payment method is unknown |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.db import Database
from libs.money import Money
from services.payments.billing.rules import refund
from services.payments.billing.rules.refund import Outcome as RefundOutcome
from services.payments.collection.rules.provider import (
    ActionRequired,
    Canceled,
    Charged,
    Declined,
    MethodUnknown,
    Outcome,
    Unknown,
)

_ACTION_URL = "https://sandbox.invalid/actions/{}"
_NO_CURRENCY = "XXX"  # ISO 4217 for no currency: a payment was given up before it was asked for


@dataclass(frozen=True, slots=True)
class Card:
    """How a card behaves."""

    status: str
    decline_code: str = ""
    answer_is_lost: bool = False
    refund_status: str = "refunded"
    failure_code: str = ""
    refund_answer_is_lost: bool = False
    found_as: str = ""
    """What a refund has become when it is asked for; empty where it stays as it was."""


CARDS = {
    "pm_card_ok": Card("charged"),
    "pm_card_declined": Card("declined", "card_declined"),
    "pm_card_insufficient_funds": Card("declined", "insufficient_funds"),
    "pm_card_action": Card("action_required"),
    "pm_card_timeout": Card("charged", answer_is_lost=True),
    "pm_card_refund_declined": Card("charged", refund_status="failed", failure_code="refund_declined"),
    "pm_card_refund_expired": Card("charged", refund_status="failed", failure_code=refund.EXPIRED),
    "pm_card_refund_timeout": Card("charged", refund_answer_is_lost=True),
    "pm_card_refund_pending": Card("charged", refund_status="pending", found_as="refunded"),
    "pm_card_refund_returned": Card("charged", found_as="failed", failure_code="returned_by_bank"),
}

_charges = sa.Table(
    "sandbox_charges",
    sa.MetaData(),
    sa.Column("payment_id", sa.Uuid, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("decline_code", sa.Text, nullable=False),
    sa.Column("card", sa.Text, nullable=False),
)
_refunds = sa.Table(
    "sandbox_refunds",
    sa.MetaData(),
    sa.Column("refund_id", sa.Uuid, primary_key=True),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("failure_code", sa.Text, nullable=False),
)


class Sandbox:
    """The provider. Its answers come within the limits of the database; `seconds` is for those that are far away."""

    name = "sandbox"

    def __init__(self, database: Database) -> None:
        self._database = database

    def knows(self, payment_method: str, seconds: float) -> bool:
        """Whether there is such a card."""
        return payment_method in CARDS

    def charge(self, payment_id: UUID, amount: Money, payment_method: str, seconds: float) -> Outcome:
        """Behave as the card does. Repeated, it returns what came of the first time."""
        card = CARDS.get(payment_method)
        if card is None:
            return MethodUnknown()
        with self._database.transaction() as session:
            row = _row(payment_id, amount.minor, amount.currency, card.status, card.decline_code, payment_method)
            session.execute(insert(_charges).values(row).on_conflict_do_nothing())
            outcome = _known(session, payment_id)
        return Unknown() if card.answer_is_lost else outcome

    def confirm(self, payment_id: UUID, seconds: float) -> Outcome:
        """Charge a payment that waits for its payer."""
        with self._database.transaction() as session:
            _change_waiting(session, payment_id, "charged")
            return _known(session, payment_id)

    def cancel(self, payment_id: UUID, seconds: float) -> Outcome:
        """Give a payment up; one that was never heard of is noted, so that it cannot be charged later."""
        with self._database.transaction() as session:
            row = _row(payment_id, 0, _NO_CURRENCY, "canceled", "")
            session.execute(insert(_charges).values(row).on_conflict_do_nothing())
            _change_waiting(session, payment_id, "canceled")
            return _known(session, payment_id)

    def find(self, payment_id: UUID, seconds: float) -> Outcome | None:
        """What the book says of a payment."""
        with self._database.reading() as session:
            return _find(session, payment_id)

    def refund(self, refund_id: UUID, payment_id: UUID, amount: Money, seconds: float) -> RefundOutcome:
        """Behave as the card of the payment does. Repeated, it returns what came of the first time."""
        with self._database.transaction() as session:
            charge = session.execute(
                sa.select(_charges).where(_charges.c.payment_id == payment_id).with_for_update()
            ).one_or_none()
            card = CARDS.get(charge.card, Card("charged")) if charge else Card("")
            if charge and _find_refund(session, refund_id) is None:
                status, code = _status_of_refund(session, charge, card, amount)
                row = {"refund_id": refund_id, "payment_id": payment_id, "reference": f"sbr_{refund_id.hex}"}
                row |= {"amount": amount.minor, "currency": amount.currency, "status": status, "failure_code": code}
                session.execute(sa.insert(_refunds).values(row))
            outcome = _find_refund(session, refund_id) or refund.Failed("", "charge_unknown")
        return refund.Pending() if card.refund_answer_is_lost else outcome

    def find_refund(self, refund_id: UUID, seconds: float) -> RefundOutcome | None:
        """What the book says of a refund, which may have become something else meanwhile."""
        with self._database.transaction() as session:
            query = sa.select(_charges.c.card).join(_refunds, _refunds.c.payment_id == _charges.c.payment_id)
            card = CARDS.get(session.scalar(query.where(_refunds.c.refund_id == refund_id)) or "", Card("charged"))
            if card.found_as:
                settled = sa.update(_refunds).where(_refunds.c.refund_id == refund_id)
                session.execute(settled.values(status=card.found_as, failure_code=card.failure_code))
            return _find_refund(session, refund_id)


def _status_of_refund(session: Session, charge: Any, card: Card, amount: Money) -> tuple[str, str]:
    """What becomes of a refund; no more is paid back than was charged."""
    paid_back = sa.select(sa.func.coalesce(sa.func.sum(_refunds.c.amount), 0)).where(
        _refunds.c.payment_id == charge.payment_id, _refunds.c.status != "failed"
    )
    left = charge.amount - int(session.execute(paid_back).scalar_one())
    if charge.status != "charged" or charge.currency != amount.currency or amount.minor > left:
        return "failed", "charge_already_refunded"
    return card.refund_status, card.failure_code if card.refund_status == "failed" else ""


def _find_refund(session: Session, refund_id: UUID) -> RefundOutcome | None:
    row = session.execute(sa.select(_refunds).where(_refunds.c.refund_id == refund_id)).one_or_none()
    if row is None:
        return None
    if row.status == "refunded":
        return refund.Succeeded(row.reference, Money(row.amount, row.currency))
    return refund.Failed(row.reference, row.failure_code) if row.status == "failed" else refund.Pending()


def _row(
    payment_id: UUID, minor: int, currency: str, status: str, decline_code: str, card: str = ""
) -> dict[str, object]:
    return {
        "payment_id": payment_id,
        "reference": f"sbx_{payment_id.hex}",
        "amount": minor,
        "currency": currency,
        "status": status,
        "decline_code": decline_code,
        "card": card,
    }


def _change_waiting(session: Session, payment_id: UUID, status: str) -> None:
    waiting = (_charges.c.payment_id == payment_id) & (_charges.c.status == "action_required")
    session.execute(sa.update(_charges).where(waiting).values(status=status))


def _known(session: Session, payment_id: UUID) -> Outcome:
    return _find(session, payment_id) or Unknown()


def _find(session: Session, payment_id: UUID) -> Outcome | None:
    row = session.execute(sa.select(_charges).where(_charges.c.payment_id == payment_id)).one_or_none()
    if row is None:
        return None
    if row.status == "charged":
        return Charged(row.reference, Money(row.amount, row.currency))
    if row.status == "declined":
        return Declined(row.reference, row.decline_code)
    if row.status == "action_required":
        return ActionRequired(row.reference, _ACTION_URL.format(row.reference))
    return Canceled()
