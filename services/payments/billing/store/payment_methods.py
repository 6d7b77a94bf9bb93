"""What payers can be charged with: tokens of the provider. What is to be forgotten is deleted.

Tokens that were given for a first premium only are not kept: nobody is shown them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.payments.billing.rules.payment_method import PaymentMethod
from services.payments.billing.store.rows import AccountRow, PaymentMethodRow

_methods = PaymentMethodRow.__table__
_ADD = sa.insert(_methods)
_IS_OF_ACCOUNT = (AccountRow.payment_method_id == _methods.c.id) & (AccountRow.id == sa.bindparam("account_id"))
_TOKEN = sa.select(_methods.c.token).where(_IS_OF_ACCOUNT)
_KEPT = sa.select(
    _methods.c.id,
    _methods.c.customer_id,
    _methods.c.provider,
    _methods.c.display_name,
    _methods.c.mandate_text,
    _methods.c.is_default,
    _methods.c.created_at,
).where(_methods.c.is_kept)
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


def find(session: Session, method_id: UUID) -> PaymentMethod | None:
    """A payment method that its payer keeps."""
    row = session.execute(_KEPT.where(_methods.c.id == method_id)).one_or_none()
    return method_from_row(row) if row else None


def find_for_use(session: Session, method_id: UUID) -> PaymentMethod | None:
    """As `find`; the method is kept from being removed until the transaction ends."""
    query = _KEPT.where(_methods.c.id == method_id).with_for_update(read=True, key_share=True)
    row = session.execute(query).one_or_none()
    return method_from_row(row) if row else None


def lock(session: Session, method_id: UUID) -> PaymentMethod | None:
    """As `find`; those that are about to use the method wait until the transaction ends."""
    row = session.execute(_KEPT.where(_methods.c.id == method_id).with_for_update()).one_or_none()
    return method_from_row(row) if row else None


def lock_default(session: Session, customer_id: UUID) -> UUID | None:
    """The default of a party; others that change what it keeps wait until the transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(customer_id.int % 2**63)))
    query = sa.select(_methods.c.id).where(_methods.c.customer_id == customer_id, _methods.c.is_default)
    return session.scalar(query)


def list_of(session: Session, scope: Scope, after: UUID | None, limit: int) -> Sequence[PaymentMethod]:
    """The payment methods that the parties of a scope keep, newest first, behind the one whose id is `after`."""
    query = scoped(_KEPT, scope, owner=_methods.c.customer_id).order_by(_methods.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(_methods.c.id < after)
    return [method_from_row(row) for row in session.execute(query)]


def find_account(session: Session, method_id: UUID) -> UUID | None:
    """An account whose invoices are collected with a payment method."""
    query = sa.select(AccountRow.id).where(AccountRow.payment_method_id == method_id, AccountRow.autopay)
    return session.scalar(query.limit(1))


def add(session: Session, method: PaymentMethod, token: str) -> None:
    """Save a new payment method with its token."""
    session.execute(_ADD, {**row_from_method(method), "token": token, "is_kept": True})


def save_default(session: Session, method_id: UUID, *, is_default: bool) -> None:
    """Save whether a payment method is the default. The index `payment_methods_one_default` refuses a second one."""
    session.execute(sa.update(_methods).where(_methods.c.id == method_id).values(is_default=is_default))


def delete(session: Session, method_id: UUID) -> None:
    """Forget a payment method."""
    session.execute(sa.delete(_methods).where(_methods.c.id == method_id))


def row_from_method(method: PaymentMethod) -> dict[str, Any]:
    """The row of a payment method, but for its token."""
    return {
        "id": method.id,
        "customer_id": method.user_id,
        "provider": method.provider,
        "display_name": method.display_name,
        "mandate_text": method.mandate_text,
        "is_default": method.is_default,
        "created_at": method.created_at,
    }


def method_from_row(row: Any) -> PaymentMethod:
    """The payment method of a row."""
    return PaymentMethod(
        id=row.id,
        user_id=row.customer_id,
        provider=row.provider,
        display_name=row.display_name,
        mandate_text=row.mandate_text,
        is_default=row.is_default,
        created_at=row.created_at,
    )
