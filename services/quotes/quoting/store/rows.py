"""The tables of quoting."""

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

    type_annotation_map = {  # noqa: RUF012
        datetime: sa.DateTime(timezone=True),
        list[Any]: JSONB,
        dict[str, Any]: JSONB,
        int: sa.BigInteger,
    }


class QuoteRow(Row):
    """One quote. What it asks and offers changes only with its revision; the database keeps what it said before."""

    __tablename__ = "quotes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    user_id: Mapped[UUID]
    product_code: Mapped[str]
    product_version: Mapped[int]
    time_zone: Mapped[str]
    state: Mapped[str]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    answers: Mapped[dict[str, Any]]
    coverages: Mapped[list[Any]]
    currency: Mapped[str]
    net: Mapped[int | None]
    tax: Mapped[int | None]
    fees: Mapped[int | None]
    steps: Mapped[list[Any]]
    lines: Mapped[list[Any] | None]
    reasons: Mapped[list[Any]]
    plans: Mapped[list[Any]]
    valid_until: Mapped[datetime]
    created_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    policy_id: Mapped[UUID | None]
    bound_transaction_id: Mapped[UUID | None]
    version: Mapped[int]
    created_by: Mapped[UUID | None]
    partner_id: Mapped[UUID | None]
    objects: Mapped[list[Any] | None]
    revision: Mapped[int]
    group_id: Mapped[UUID | None]
    kind: Mapped[str]
    withdraw_reason: Mapped[str | None]
    approved_rules: Mapped[list[Any] | None]
    loadings: Mapped[list[Any] | None]
    conditions: Mapped[list[Any] | None]
    deductibles: Mapped[list[Any] | None]
    revised_by: Mapped[UUID | None]
    question: Mapped[str | None]
    answer_due_at: Mapped[datetime | None]
    timeline_sequence: Mapped[int | None]


class SegmentRow(Row):
    """A stretch of a term, as a revision of a quote priced it; append-only. Steps are not kept: lines say the price."""

    __tablename__ = "quote_segments"

    quote_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    answers: Mapped[dict[str, Any]]
    coverages: Mapped[list[Any]]
    objects: Mapped[list[Any]]
    is_changed: Mapped[bool]
    net: Mapped[int]
    tax: Mapped[int]
    fees: Mapped[int]
    lines: Mapped[list[Any]]


class ReferralRow(Row):
    """One revision of a quote that was referred. A quote of a program that kept none has no row until it is touched."""

    __tablename__ = "referrals"

    quote_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]
    assignee: Mapped[UUID | None]
    information: Mapped[list[Any]]
    verdict: Mapped[str | None]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    reason: Mapped[str]
    note: Mapped[str]
