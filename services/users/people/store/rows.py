"""The tables of people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[str]: ARRAY(sa.Text)}  # noqa: RUF012


class CustomerRow(Row):
    """One person or organisation."""

    __tablename__ = "customers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    birth_date: Mapped[date | None]
    emails: Mapped[list[str]]
    phones: Mapped[list[str]]
    address: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    locale: Mapped[str]
    tax_id_hash: Mapped[bytes | None]
    tax_id_sealed: Mapped[str | None]
    tax_id_ending: Mapped[str | None]
    partner_id: Mapped[UUID | None]
    partner_since: Mapped[date | None]
    next_partner_id: Mapped[UUID | None]
    next_partner_since: Mapped[date | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class LinkRow(Row):
    """That a user acts for a customer."""

    __tablename__ = "customer_users"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    linked_at: Mapped[datetime]


class HistoryRow(Row):
    """One change of a customer; `version` is the one that it made."""

    __tablename__ = "customer_history"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    trace_id: Mapped[str]
