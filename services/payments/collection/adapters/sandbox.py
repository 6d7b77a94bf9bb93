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
| any other | the payment method is unknown |
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.db import Database
from libs.money import Money
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


CARDS = {
    "pm_card_ok": Card("charged"),
    "pm_card_declined": Card("declined", "card_declined"),
    "pm_card_insufficient_funds": Card("declined", "insufficient_funds"),
    "pm_card_action": Card("action_required"),
    "pm_card_timeout": Card("charged", answer_is_lost=True),
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
            row = _row(payment_id, amount.minor, amount.currency, card.status, card.decline_code)
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


def _row(payment_id: UUID, minor: int, currency: str, status: str, decline_code: str) -> dict[str, object]:
    return {
        "payment_id": payment_id,
        "reference": f"sbx_{payment_id.hex}",
        "amount": minor,
        "currency": currency,
        "status": status,
        "decline_code": decline_code,
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
