"""The tables of partners."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True)}  # noqa: RUF012


class PartnerRow(Row):
    """One partner."""

    __tablename__ = "partners"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class MemberRow(Row):
    """That a user is a member of a partner."""

    __tablename__ = "partner_members"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    added_at: Mapped[datetime]


class ProductRow(Row):
    """That a partner may sell a product."""

    __tablename__ = "partner_products"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_code: Mapped[str] = mapped_column(primary_key=True)
