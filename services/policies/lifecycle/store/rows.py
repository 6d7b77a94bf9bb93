"""The tables of policies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]

    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[Any]: JSONB, int: sa.BigInteger}  # noqa: RUF012


class PolicyRow(Row):
    """One contract; what changes in it is only derived from its transactions."""

    __tablename__ = "policies"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    quote_id: Mapped[UUID]
    product_code: Mapped[str]
    product_version: Mapped[int]
    plan_code: Mapped[str]
    time_zone: Mapped[str]
    issued_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    version: Mapped[int]


class NumberRow(Row):
    """The last policy number of a prefix and a year."""

    __tablename__ = "policy_numbers"

    prefix: Mapped[str] = mapped_column("product_code", primary_key=True)  # the column keeps its first name
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class PaymentMethodRow(Row):
    """The token with which a first premium is to be collected. It is not kept among the arguments of the job that needs
    it: they are shown to operators and written to the log.
    """

    __tablename__ = "payment_methods"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    token: Mapped[str]


class TransactionRow(Row):
    """One issued change; append-only."""

    __tablename__ = "policy_transactions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    policy_id: Mapped[UUID]
    sequence: Mapped[int]
    type: Mapped[str]
    effective_on: Mapped[date]
    issued_at: Mapped[datetime]
    premium_change: Mapped[int]
    currency: Mapped[str]
    source_id: Mapped[str]


class TermRow(Row):
    """One agreed period; append-only."""

    __tablename__ = "terms"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]


class SegmentRow(Row):
    """One stretch of a term; append-only."""

    __tablename__ = "segments"

    policy_id: Mapped[UUID] = mapped_column(primary_key=True)
    term_number: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    currency: Mapped[str]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]
    coverages: Mapped[list[Any]]
