"""Published products in the database: table, and functions that take a session and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Row(DeclarativeBase):
    """The tables of this module."""

    __table__: ClassVar[sa.Table]
    type_annotation_map = {dict[str, Any]: JSONB, int: sa.BigInteger}  # noqa: RUF012


class ProductRow(Row):
    """One published version of a product; append-only."""

    __tablename__ = "products"

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]


_ADD = insert(ProductRow.__table__).on_conflict_do_nothing()


def add(session: Session, code: str, version: int, document: dict[str, Any]) -> None:
    """Save a version of a product; one that is there already is left as it is."""
    session.execute(_ADD, {"code": code, "version": version, "document": document})


def find(session: Session, code: str, version: int) -> dict[str, Any] | None:
    """What is published as a version of a product."""
    query = sa.select(ProductRow.document).where(ProductRow.code == code, ProductRow.version == version)
    return session.scalar(query)


def list_versions(session: Session) -> Sequence[tuple[str, int]]:
    """Code and version of everything that is published."""
    return [(code, version) for code, version in session.execute(sa.select(ProductRow.code, ProductRow.version))]
