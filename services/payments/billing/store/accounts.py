"""Billing accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.payments.billing.rules.account import Account
from services.payments.billing.store.rows import AccountRow

_accounts = AccountRow.__table__
_ALL = sa.select(*_accounts.c)
_BY_ID = _ALL.where(_accounts.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update()
_ADD = insert(_accounts).on_conflict_do_nothing().returning(_accounts.c.id)
_SAVE = sa.update(_accounts).where(_accounts.c.id == sa.bindparam("key"))


def find(session: Session, account_id: UUID) -> Account | None:
    """The account as it stands."""
    row = session.execute(_BY_ID, {"id": account_id}).one_or_none()
    return account_from_row(row) if row else None


def lock(session: Session, account_id: UUID) -> Account | None:
    """The account as it stands, kept from other changes until the transaction ends.

    Whoever changes what is planned, or the credit of an account, locks the account before its invoices.
    """
    row = session.execute(_LOCK, {"id": account_id}).one_or_none()
    return account_from_row(row) if row else None


def add(session: Session, account: Account) -> bool:
    """Save a new account; False, saving nothing, when the policy has one.

    Waits for another transaction that is saving one for the same policy.
    """
    row = {"id": account.id, "currency": account.currency, "opened_at": account.opened_at}
    return session.execute(_ADD, {**row, **changes_from_account(account)}).one_or_none() is not None


def save(session: Session, account: Account) -> None:
    """Save what changed in an account."""
    session.execute(_SAVE, {"key": account.id, **changes_from_account(account)})


def save_withdrawn(session: Session, account_id: UUID, at: datetime) -> None:
    """Save that the first invoice was withdrawn, and the whole price taken out of the books."""
    changes = {"withdrawn_at": at, "version": _accounts.c.version + 1}
    session.execute(sa.update(_accounts).where(_accounts.c.id == account_id).values(changes))


def changes_from_account(account: Account) -> dict[str, Any]:
    """The part of an account's row that changes."""
    return {
        "customer_id": account.customer_id,
        "payer_id": account.payer_id,
        "partner_id": account.partner_id,
        "time_zone": account.time_zone,
        "last_sequence": account.last_sequence,
        "payment_method_id": account.payment_method_id,
        "withdrawn_at": account.withdrawn_at,
        "version": account.version,
    }


def account_from_row(row: Any) -> Account:
    """The account of a row."""
    return Account(
        id=row.id,
        customer_id=row.customer_id,
        payer_id=row.payer_id,
        partner_id=row.partner_id,
        currency=row.currency,
        time_zone=row.time_zone,
        opened_at=row.opened_at,
        last_sequence=row.last_sequence,
        payment_method_id=row.payment_method_id,
        withdrawn_at=row.withdrawn_at,
        version=row.version,
    )
