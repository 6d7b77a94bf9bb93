"""The tables of billing."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), int: sa.BigInteger}  # noqa: RUF012


class AccountRow(Row):
    """What is owed for one policy, whose identifier it has."""

    __tablename__ = "billing_accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID]
    payer_id: Mapped[UUID]
    partner_id: Mapped[UUID | None]
    currency: Mapped[str]
    time_zone: Mapped[str]
    opened_at: Mapped[datetime]
    last_sequence: Mapped[int]
    payment_method_id: Mapped[UUID | None]
    due_day: Mapped[int]
    autopay: Mapped[bool]
    withdrawn_at: Mapped[datetime | None]
    version: Mapped[int]


class PaymentMethodRow(Row):
    """What a payer can be charged with. The row is deleted when it is to be forgotten."""

    __tablename__ = "payment_methods"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID]
    token: Mapped[str]
    is_kept: Mapped[bool]
    provider: Mapped[str]
    display_name: Mapped[str]
    mandate_text: Mapped[str]
    is_default: Mapped[bool]
    created_at: Mapped[datetime]


class TransactionRow(Row):
    """A transaction of a policy that was applied; append-only."""

    __tablename__ = "applied_transactions"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    sequence: Mapped[int]
    kind: Mapped[str]
    term_number: Mapped[int]
    product_code: Mapped[str]
    product_version: Mapped[int]
    term_starts_on: Mapped[date]
    term_ends_on: Mapped[date | None]
    effective_on: Mapped[date]
    issued_at: Mapped[datetime]
    plan_code: Mapped[str]
    total: Mapped[int]
    reverses: Mapped[UUID | None]
    reason: Mapped[str]
    applied_at: Mapped[datetime]
    fingerprint: Mapped[bytes | None]
    reply: Mapped[bytes | None]


class ChargeLineRow(Row):
    """One amount of a transaction; append-only."""

    __tablename__ = "charge_lines"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    term_number: Mapped[int]
    kind: Mapped[str]
    coverage_code: Mapped[str]
    charge_code: Mapped[str]
    object_id: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    amount: Mapped[int]
    commissionable: Mapped[bool]


class TimelineLineRow(Row):
    """Net premium over a stretch of a term, as a transaction left it; append-only."""

    __tablename__ = "timeline_lines"

    transaction_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    term_number: Mapped[int]
    object_id: Mapped[str]
    coverage_code: Mapped[str]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    full_term_amount: Mapped[int]
    term_days: Mapped[int]


class ScheduleRow(Row):
    """The installments of a term, from one transaction to the next; append-only."""

    __tablename__ = "schedules"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    transaction_id: Mapped[UUID]
    term_number: Mapped[int]


class InstallmentRow(Row):
    """One part of what is owed. It changes once: from planned to invoiced or superseded."""

    __tablename__ = "schedule_installments"

    schedule_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_on: Mapped[date]
    columns: Mapped[dict[str, int]] = mapped_column(JSONB)
    total: Mapped[int]
    state: Mapped[str]


class InvoiceRow(Row):
    """A demand for payment."""

    __tablename__ = "invoices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    partner_id: Mapped[UUID | None]
    policy_id: Mapped[UUID]
    term_number: Mapped[int]
    installment_number: Mapped[int | None]
    due_on: Mapped[date]
    currency: Mapped[str]
    total: Mapped[int]
    settled: Mapped[int]
    status: Mapped[str]
    issued_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    time_zone: Mapped[str]
    payable_until: Mapped[datetime | None]
    past_due_at: Mapped[datetime | None]
    version: Mapped[int]


class ItemRow(Row):
    """One amount of an invoice; append-only."""

    __tablename__ = "invoice_items"

    invoice_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    charge_code: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int]


class AllocationRow(Row):
    """What a payment, or credit where there is none, settled of an invoice; append-only."""

    __tablename__ = "allocations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID]
    payment_id: Mapped[UUID | None]
    amount: Mapped[int]
    allocated_at: Mapped[datetime]


class CreditRow(Row):
    """A movement of an account's credit; append-only."""

    __tablename__ = "credits"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    amount: Mapped[int]
    transaction_id: Mapped[UUID | None]
    payment_id: Mapped[UUID | None]
    allocation_id: Mapped[UUID | None]
    refund_id: Mapped[UUID | None]
    moved_at: Mapped[datetime]


class EarningRow(Row):
    """How far the premium of a policy is earned."""

    __tablename__ = "earnings"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    earned_until: Mapped[date]
    ends_on: Mapped[date | None]


class RefundRow(Row):
    """Money that is paid back."""

    __tablename__ = "refunds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    user_id: Mapped[UUID]
    partner_id: Mapped[UUID | None]
    amount: Mapped[int]
    currency: Mapped[str]
    time_zone: Mapped[str]
    status: Mapped[str]
    not_before: Mapped[date]
    transaction_id: Mapped[UUID | None]
    requested_by: Mapped[UUID | None]
    decided_by: Mapped[UUID | None]
    note: Mapped[str]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    version: Mapped[int]


class RefundPartRow(Row):
    """What of a refund goes back to one payment. Its identifier is the provider's."""

    __tablename__ = "refund_parts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    refund_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    attempt: Mapped[int]
    amount: Mapped[int]
    status: Mapped[str]
    provider_reference: Mapped[str]
    failure_code: Mapped[str]
    sent_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class DifferenceRow(Row):
    """Something of a policy about which policies, billing and the ledger do not agree."""

    __tablename__ = "reconciliation_differences"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    expected: Mapped[int]
    actual: Mapped[int]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
