"""The tables of the ledger."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), int: sa.BigInteger}  # noqa: RUF012


class JournalRow(Row):
    """One event in the books; append-only. The database refuses at commit what does not balance."""

    __tablename__ = "journals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str]
    source_id: Mapped[str]
    policy_id: Mapped[UUID | None]
    currency: Mapped[str]
    effective_on: Mapped[date]
    booked_at: Mapped[datetime]
    lines: Mapped[int]
    billing_account_id: Mapped[UUID | None]
    claim_id: Mapped[UUID | None]
    partner_id: Mapped[UUID | None]
    written_on: Mapped[date | None]
    trace_id: Mapped[str]


class PostingRow(Row):
    """One side of a journal; append-only."""

    __tablename__ = "postings"

    journal_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    account_code: Mapped[str]
    side: Mapped[str]
    amount: Mapped[int]
    coverage_code: Mapped[str]
    tax_code: Mapped[str]
    term_number: Mapped[int]


class UnsummedRow(Row):
    """A journal that is not in the sums of days yet. A trigger puts it here in the transaction that enters it."""

    __tablename__ = "unsummed_journals"

    journal_id: Mapped[UUID] = mapped_column(primary_key=True)


class DayRow(Row):
    """The sums of one account, by the days on which its postings were entered and count.

    Once for the account as a whole, and once for each of its parts by each dimension.
    """

    __tablename__ = "ledger_days"

    dimension: Mapped[str] = mapped_column(primary_key=True)
    booked_on: Mapped[date] = mapped_column(primary_key=True)
    effective_on: Mapped[date] = mapped_column(primary_key=True)
    account_code: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    debits: Mapped[Decimal]
    credits: Mapped[Decimal]
