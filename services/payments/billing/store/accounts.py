"""Billing accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.payments.billing.rules.account import Account, AccountSums
from services.payments.billing.rules.invoice import UNSETTLED
from services.payments.billing.rules.transaction import Kind
from services.payments.billing.store.rows import (
    AccountRow,
    CreditRow,
    InstallmentRow,
    InvoiceRow,
    ScheduleRow,
    TransactionRow,
)

_accounts = AccountRow.__table__
_ALL = sa.select(*_accounts.c)
_BY_ID = _ALL.where(_accounts.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update()
_IDS = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
_LOCK_ALL = _ALL.where(_accounts.c.id == _IDS).order_by(_accounts.c.id).with_for_update()
_ADD = insert(_accounts).on_conflict_do_nothing().returning(_accounts.c.id)
_SAVE = sa.update(_accounts).where(_accounts.c.id == sa.bindparam("key"))

_unsettled = (
    sa.select(
        sa.func.sum(InvoiceRow.total - InvoiceRow.settled).label("due"),
        sa.func.sum(InvoiceRow.total - InvoiceRow.settled)
        .filter(
            InvoiceRow.due_on
            < sa.cast(sa.func.timezone(InvoiceRow.time_zone, sa.bindparam("now", type_=sa.DateTime(True))), sa.Date)
        )
        .label("past_due"),
        sa.func.min(InvoiceRow.due_on).label("due_on"),
    )
    .where(InvoiceRow.policy_id == _accounts.c.id, InvoiceRow.status.in_(UNSETTLED))
    .lateral("unsettled")
)
_planned = (
    sa.select(sa.func.sum(InstallmentRow.total).label("total"), sa.func.min(InstallmentRow.due_on).label("due_on"))
    .join(ScheduleRow, ScheduleRow.id == InstallmentRow.schedule_id)
    .where(ScheduleRow.account_id == _accounts.c.id, InstallmentRow.state == "planned")
    .lateral("planned")
)
_credit = sa.select(sa.func.sum(CreditRow.amount)).where(CreditRow.account_id == _accounts.c.id).scalar_subquery()
_WITH_SUMS = (
    sa.select(
        *_accounts.c,
        sa.func.coalesce(_planned.c.total, 0).label("planned"),
        sa.func.coalesce(_unsettled.c.due, 0).label("due"),
        sa.func.coalesce(_unsettled.c.past_due, 0).label("past_due"),
        sa.func.coalesce(_credit, 0).label("credit"),
        sa.func.least(_unsettled.c.due_on, _planned.c.due_on).label("next_due_on"),
    )
    .select_from(_accounts)
    .join(_unsettled, sa.true())
    .join(_planned, sa.true())
)


_LAST_APPLIED = sa.text("""
    SELECT id, last_sequence, coalesce(
        (SELECT applied_at FROM applied_transactions WHERE account_id = account.id AND sequence = last_sequence),
        opened_at
    ) AS applied_at
    FROM billing_accounts AS account WHERE id > :after AND id <= :last ORDER BY id LIMIT :limit
""")


def find_count(session: Session) -> int:
    """How many accounts there are."""
    return session.scalar(sa.select(sa.func.count()).select_from(_accounts)) or 0


def list_last_applied(session: Session, after: UUID, last: UUID, limit: int) -> dict[UUID, tuple[int, datetime]]:
    """Of each account behind `after`, up to `last`, the last transaction that was applied: its position, and when."""
    rows = session.execute(_LAST_APPLIED, {"after": after, "last": last, "limit": limit})
    return {row.id: (row.last_sequence, row.applied_at) for row in rows}


def find_sums(session: Session, account_id: UUID, now: datetime) -> AccountSums | None:
    """The account with what is owed on it."""
    row = session.execute(_WITH_SUMS.where(_accounts.c.id == account_id), {"now": now}).one_or_none()
    return sums_from_row(row) if row else None


def list_of(
    session: Session,
    scope: Scope,
    policy_id: UUID | None,
    customer_id: UUID | None,
    after: UUID | None,
    limit: int,
    now: datetime,
) -> Sequence[AccountSums]:
    """The accounts of a scope with what is owed on them, newest first, behind the one whose id is `after`."""
    query = scoped(_WITH_SUMS, scope, owner=_accounts.c.customer_id, partner=_accounts.c.partner_id)
    for column, value in ((_accounts.c.id, policy_id), (_accounts.c.customer_id, customer_id)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(_accounts.c.id < after)
    rows = session.execute(query.order_by(_accounts.c.id.desc()).limit(limit), {"now": now})
    return [sums_from_row(row) for row in rows]


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


def lock_all(session: Session, account_ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Accounts as they stand, by their ids, kept from other changes; locked in the order of their ids."""
    return {row.id: account_from_row(row) for row in session.execute(_LOCK_ALL, {"ids": list(account_ids)})}


def find_last_kind(session: Session, account_id: UUID) -> Kind | None:
    """What the last transaction of the policy was; None before the first one."""
    query = sa.select(TransactionRow.kind).where(TransactionRow.account_id == account_id)
    kind = session.scalar(query.order_by(TransactionRow.sequence.desc()).limit(1))
    return Kind(kind) if kind else None


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
        "due_day": account.due_day,
        "autopay": account.autopay,
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
        due_day=row.due_day,
        autopay=row.autopay,
        withdrawn_at=row.withdrawn_at,
        version=row.version,
    )


def sums_from_row(row: Any) -> AccountSums:
    """The account of a row with what is owed on it."""
    return AccountSums(
        account_from_row(row), int(row.planned), int(row.due), int(row.past_due), int(row.credit), row.next_due_on
    )
