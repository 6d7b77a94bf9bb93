"""The tables of accounts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {datetime: sa.DateTime(timezone=True), list[str]: ARRAY(sa.Text)}  # noqa: RUF012


class UserRow(Row):
    """One account, and the hash of its password."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    full_name: Mapped[str]
    phone: Mapped[str]
    locale: Mapped[str]
    roles: Mapped[list[str]]
    state: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class AuthorityRow(Row):
    """How far one user may decide alone."""

    __tablename__ = "authorities"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    underwriting_level: Mapped[int]
    claim_limit: Mapped[dict[str, int]] = mapped_column(JSONB)
    refund_limit: Mapped[dict[str, int]] = mapped_column(JSONB)
    write_off_limit: Mapped[dict[str, int]] = mapped_column(JSONB)
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class SessionRow(Row):
    """One log-in."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    idle: Mapped[timedelta]
    revoked_at: Mapped[datetime | None]


class TokenRow(Row):
    """One refresh token, kept after its use to notice a second one."""

    __tablename__ = "refresh_tokens"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
