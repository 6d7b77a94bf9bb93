"""The tables of billing."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
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
