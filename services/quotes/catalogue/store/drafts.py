"""Drafts of products in the database: kept as they were sent, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.quotes.catalogue.store.products import Row


class DraftRow(Row):
    """One version of a product that somebody made by a call; append-only. Once published it stands in both tables."""

    __tablename__ = "product_drafts"

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    source: Mapped[str]
    author_id: Mapped[UUID]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that somebody made: the file as it was sent, and the document that it holds."""

    code: str
    version: int
    document: dict[str, Any]
    source: str
    author_id: UUID
    created_at: datetime


_ADD = insert(DraftRow.__table__).on_conflict_do_nothing().returning(DraftRow.version)


def add(session: Session, draft: Draft) -> bool:
    """Save a draft. False where there is one of that version: then it is left as it is."""
    return session.execute(_ADD, row_from_draft(draft)).one_or_none() is not None


def find(session: Session, code: str, version: int) -> Draft | None:
    """The draft of a version, published or not."""
    query = sa.select(*DraftRow.__table__.c).where(DraftRow.code == code, DraftRow.version == version)
    row = session.execute(query).one_or_none()
    return draft_from_row(row) if row else None


def row_from_draft(draft: Draft) -> dict[str, Any]:
    """The row of a draft."""
    return {
        "code": draft.code,
        "version": draft.version,
        "document": draft.document,
        "source": draft.source,
        "author_id": draft.author_id,
        "created_at": draft.created_at,
    }


def draft_from_row(row: Any) -> Draft:
    """The draft of a row."""
    return Draft(row.code, row.version, row.document, row.source, row.author_id, row.created_at)
