"""Payments: attempts to collect an invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from libs.money import Money
from services.payments.billing.rules import invoice
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store.rows import AccountRow, InvoiceRow, PaymentMethodRow
from services.payments.collection.rules.payment import OPEN, Payment, State


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), int: sa.BigInteger}  # noqa: RUF012


class PaymentRow(Row):
    """One attempt to collect an invoice; at its end it no longer changes."""

    __tablename__ = "payments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID]
    account_id: Mapped[UUID | None]
    user_id: Mapped[UUID]
    amount: Mapped[int]
    currency: Mapped[str]
    status: Mapped[str]
    provider: Mapped[str]
    provider_reference: Mapped[str]
    decline_code: Mapped[str]
    action_url: Mapped[str]
    created_at: Mapped[datetime]
    attempt: Mapped[str]
    completed_at: Mapped[datetime | None]
    version: Mapped[int]


_payments = PaymentRow.__table__
_ALL = sa.select(*_payments.c)
_BY_ID = _ALL.where(_payments.c.id == sa.bindparam("id"))
_ADD = (
    insert(_payments)
    .on_conflict_do_nothing(  # in the words of the index `payments_one_open_of_account`
        index_elements=["account_id"], index_where=sa.text("status IN ('processing', 'requires_action')")
    )
    .returning(_payments.c.id)
)
_SAVE = sa.update(_payments).where(_payments.c.id == sa.bindparam("key"))


def find(session: Session, payment_id: UUID) -> Payment | None:
    """The payment as it stands."""
    row = session.execute(_BY_ID, {"id": payment_id}).one_or_none()
    return payment_from_row(row) if row else None


def lock(session: Session, payment_id: UUID) -> Payment | None:
    """The payment as it stands, kept from other changes until the transaction ends."""
    row = session.execute(_BY_ID.with_for_update(), {"id": payment_id}).one_or_none()
    return payment_from_row(row) if row else None


def find_open(session: Session, unpaid: Invoice) -> UUID | None:
    """The payment of an invoice, or of its account, that has not come to its end."""
    is_of = (_payments.c.account_id == unpaid.policy_id) | (_payments.c.invoice_id == unpaid.id)
    return session.scalar(sa.select(_payments.c.id).where(is_of, _payments.c.status.in_(OPEN)))


def find_is_open(session: Session, account_id: UUID) -> bool:
    """Whether a payment of an account has not come to its end."""
    of_account = sa.select(InvoiceRow.id).where(InvoiceRow.policy_id == account_id)
    is_of = (_payments.c.account_id == account_id) | _payments.c.invoice_id.in_(of_account)
    return session.scalar(sa.select(_payments.c.id).where(is_of, _payments.c.status.in_(OPEN)).limit(1)) is not None


def find_declined(session: Session, invoice_id: UUID, attempt: str) -> UUID | None:
    """The payment of a try to collect an invoice that the provider has declined."""
    is_declined = (_payments.c.status == State.DECLINED) & (_payments.c.attempt == attempt)
    return session.scalar(sa.select(_payments.c.id).where(_payments.c.invoice_id == invoice_id, is_declined).limit(1))


def find_oldest_open(session: Session) -> Mapping[State, datetime]:
    """When the oldest payment was begun that is still open, by its state. `idx_payments_status` finds the open ones."""
    query = sa.select(_payments.c.status, sa.func.min(_payments.c.created_at)).where(_payments.c.status.in_(OPEN))
    return {State(status): oldest for status, oldest in session.execute(query.group_by(_payments.c.status))}


def list_of(
    session: Session, scope: Scope, invoice_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Payment]:
    """The payments of a scope, newest first, behind the one whose id is `after`."""
    query = scoped(_ALL, scope, owner=_payments.c.user_id).order_by(_payments.c.id.desc()).limit(limit)
    if invoice_id is not None:
        query = query.where(_payments.c.invoice_id == invoice_id)
    if after is not None:
        query = query.where(_payments.c.id < after)
    return [payment_from_row(row) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class Unpaid:
    """The first invoice of a term that was not paid in time."""

    invoice_id: UUID
    policy_id: UUID
    term_number: int


def list_unpaid(session: Session, now: datetime, after: UUID, limit: int) -> Sequence[Unpaid]:
    """The first invoices of policies that were not paid in time, oldest first, behind the one whose id is `after`.

    Without those of which a payment is under way, or which wait for the payment that was agreed on with the contract:
    by a token for it alone, or by a method that the account was opened with, and not given by its payer later.
    """
    payments = sa.select(PaymentRow.id).where(PaymentRow.invoice_id == InvoiceRow.id)
    tokens = sa.select(PaymentMethodRow.id).where(
        PaymentMethodRow.id == AccountRow.payment_method_id, ~PaymentMethodRow.is_kept
    )
    query = (
        sa.select(InvoiceRow.id, InvoiceRow.policy_id, InvoiceRow.term_number)
        .join(AccountRow, AccountRow.id == InvoiceRow.policy_id)
        .where(
            # Written out, so that the index of just these is seen to fit.
            InvoiceRow.status == sa.literal(invoice.State.OPEN.value, literal_execute=True),
            InvoiceRow.installment_number == sa.literal(1, literal_execute=True),
            InvoiceRow.payable_until <= now,
            InvoiceRow.id > after,
            ~payments.where(PaymentRow.status.in_(OPEN)).exists(),
            sa.or_(
                AccountRow.payment_method_id.is_(None),
                (AccountRow.version > 1) & ~tokens.exists(),
                payments.exists(),
            ),
        )
        .order_by(InvoiceRow.id)
        .limit(limit)
    )
    return [Unpaid(*row) for row in session.execute(query)]


def add(session: Session, payment: Payment) -> bool:
    """Save a new payment; False, with nothing saved, where the account has an open one by now."""
    return session.scalar(_ADD, row_from_payment(payment)) is not None


def save(session: Session, payment: Payment) -> None:
    """Save what changed in a payment. The database refuses to change one that came to its end."""
    session.execute(_SAVE, {"key": payment.id, **changes_from_payment(payment)})


def row_from_payment(payment: Payment) -> dict[str, Any]:
    """The row of a payment."""
    return {
        "id": payment.id,
        "invoice_id": payment.invoice_id,
        "account_id": payment.account_id,
        "user_id": payment.user_id,
        "amount": payment.amount.minor,
        "currency": payment.amount.currency,
        "provider": payment.provider,
        "created_at": payment.created_at,
        "attempt": payment.attempt,
        **changes_from_payment(payment),
    }


def payment_from_row(row: Any) -> Payment:
    """The payment of a row."""
    return Payment(
        id=row.id,
        invoice_id=row.invoice_id,
        account_id=row.account_id,
        user_id=row.user_id,
        amount=Money(row.amount, row.currency),
        provider=row.provider,
        created_at=row.created_at,
        attempt=row.attempt,
        state=State(row.status),
        provider_reference=row.provider_reference,
        decline_code=row.decline_code,
        action_url=row.action_url,
        completed_at=row.completed_at,
        version=row.version,
    )


def changes_from_payment(payment: Payment) -> dict[str, Any]:
    """The part of a payment's row that changes."""
    return {
        "status": payment.state,
        "provider_reference": payment.provider_reference,
        "decline_code": payment.decline_code,
        "action_url": payment.action_url,
        "completed_at": payment.completed_at,
        "version": payment.version,
    }
