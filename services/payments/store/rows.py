"""The tables of this service."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = {datetime: sa.DateTime(timezone=True), int: sa.BigInteger}  # noqa: RUF012


class BillingRow(Row):
    """How the price of one policy is paid; append-only."""

    __tablename__ = "billings"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    transaction_id: Mapped[UUID]
    plan_code: Mapped[str]
    starts_on: Mapped[date]
    issued_at: Mapped[datetime]
    currency: Mapped[str]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]
    payment_method: Mapped[str]
    time_zone: Mapped[str]


class InstallmentRow(Row):
    """One part of a price; append-only."""

    __tablename__ = "installments"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_on: Mapped[date]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]


class UnbilledRow(Row):
    """An installment of a policy in force that has no invoice yet. Triggers put it here and take it away."""

    __tablename__ = "unbilled_installments"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_on: Mapped[date]


class NumberRow(Row):
    """The last invoice number of a year."""

    __tablename__ = "invoice_numbers"

    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class InvoiceRow(Row):
    """The bill of one installment."""

    __tablename__ = "invoices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    policy_id: Mapped[UUID]
    installment_number: Mapped[int]
    status: Mapped[str]
    issued_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    version: Mapped[int]


class PaymentRow(Row):
    """One attempt to collect an invoice; at its end it no longer changes."""

    __tablename__ = "payments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID]
    user_id: Mapped[UUID]
    amount: Mapped[int]
    currency: Mapped[str]
    status: Mapped[str]
    provider: Mapped[str]
    provider_reference: Mapped[str]
    decline_code: Mapped[str]
    action_url: Mapped[str]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    version: Mapped[int]


class JournalRow(Row):
    """One event in the books; append-only. The database refuses at commit what does not balance."""

    __tablename__ = "journals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str]
    source_id: Mapped[str]
    policy_id: Mapped[UUID]
    currency: Mapped[str]
    effective_on: Mapped[date]
    booked_at: Mapped[datetime]
    lines: Mapped[int]


class PostingRow(Row):
    """One side of a journal; append-only."""

    __tablename__ = "postings"

    journal_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    account_code: Mapped[str]
    side: Mapped[str]
    amount: Mapped[int]
