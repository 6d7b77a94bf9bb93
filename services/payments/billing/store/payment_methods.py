"""What payers can be charged with: tokens of the provider. What is to be forgotten is deleted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.payments.billing.store.rows import AccountRow, PaymentMethodRow

_methods = PaymentMethodRow.__table__
_ADD = sa.insert(_methods)
_IS_OF_ACCOUNT = (AccountRow.payment_method_id == _methods.c.id) & (AccountRow.id == sa.bindparam("account_id"))
_TOKEN = sa.select(_methods.c.token).where(_IS_OF_ACCOUNT)
_DELETE_USED = sa.delete(_methods).where(_IS_OF_ACCOUNT, ~_methods.c.is_kept)


def add_once(session: Session, method_id: UUID, customer_id: UUID, token: str, now: datetime) -> None:
    """Keep a token until the first premium is collected with it."""
    row = {"id": method_id, "customer_id": customer_id, "token": token, "is_kept": False, "created_at": now}
    session.execute(_ADD, row)


def find_token(session: Session, account_id: UUID) -> str | None:
    """The token with which the first premium of an account is collected; None when there is none any more."""
    token: str | None = session.scalar(_TOKEN, {"account_id": account_id})
    return token


def delete_used(session: Session, account_id: UUID) -> None:
    """Forget the token that was given for the first premium of an account, and for nothing else."""
    session.execute(_DELETE_USED, {"account_id": account_id})
