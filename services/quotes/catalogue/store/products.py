"""Published products in the database: table, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {  # noqa: RUF012
        datetime: sa.DateTime(timezone=True),
        dict[str, Any]: JSONB,
        int: sa.BigInteger,
    }


class ProductRow(Row):
    """One published version of a product; append-only."""

    __tablename__ = "products"

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]


_ADD = insert(ProductRow.__table__).on_conflict_do_nothing().returning(ProductRow.version)


def add(session: Session, code: str, version: int, document: dict[str, Any], published_at: datetime) -> bool:
    """Save a version of a product. False where it is there already: then it is left as it is."""
    row = {"code": code, "version": version, "document": document, "published_at": published_at}
    return session.execute(_ADD, row).one_or_none() is not None


def find(session: Session, code: str, version: int) -> dict[str, Any] | None:
    """What is published as a version of a product."""
    query = sa.select(ProductRow.document).where(ProductRow.code == code, ProductRow.version == version)
    return session.scalar(query)


def list_versions(session: Session) -> Sequence[tuple[str, int]]:
    """Code and version of everything that is published."""
    return [(code, version) for code, version in session.execute(sa.select(ProductRow.code, ProductRow.version))]
