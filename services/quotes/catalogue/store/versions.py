"""Versions of products as the tables of drafts, products and sales have them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import LateralFromClause

from services.quotes.catalogue.rules.sale import Sale
from services.quotes.catalogue.rules.version import Version
from services.quotes.catalogue.store.drafts import DraftRow
from services.quotes.catalogue.store.products import ProductRow
from services.quotes.catalogue.store.sales import SaleRow

_code = sa.func.coalesce(DraftRow.code, ProductRow.code)
_number = sa.func.coalesce(DraftRow.version, ProductRow.version)


def _sale(order: sa.ColumnElement[Any], name: str) -> LateralFromClause:
    of_product = sa.and_(SaleRow.code == ProductRow.code, SaleRow.version == ProductRow.version)
    return sa.select(*SaleRow.__table__.c).where(of_product).order_by(order).limit(1).lateral(name)


_first = _sale(SaleRow.id.asc(), "first_sale")
_last = _sale(SaleRow.id.desc(), "last_sale")
_is_same = sa.and_(DraftRow.code == ProductRow.code, DraftRow.version == ProductRow.version)
_ALL = (
    sa.select(
        _code.label("code"),
        _number.label("number"),
        DraftRow.author_id,
        DraftRow.created_at,
        ProductRow.published_at,
        ProductRow.document["time_zone"].as_string().label("time_zone"),
        _first.c.decided_by,
        _last.c.starts_on,
        _last.c.ends_on,
        _last.c.renew_with,
    )
    .select_from(sa.outerjoin(DraftRow, ProductRow, _is_same, full=True))
    .outerjoin(_first, sa.true())
    .outerjoin(_last, sa.true())
)


def list_by_product(session: Session, code: str, before: int | None, limit: int) -> Sequence[Version]:
    """The versions of a product, the highest number first, below the number `before`."""
    query = _ALL.where(_code == code).order_by(_number.desc()).limit(limit)
    if before is not None:
        query = query.where(_number < before)
    return [version_from_row(row) for row in session.execute(query)]


def find(session: Session, code: str, number: int) -> Version | None:
    """One version of a product."""
    row = session.execute(_ALL.where(_code == code, _number == number)).one_or_none()
    return version_from_row(row) if row else None


def version_from_row(row: Any) -> Version:
    """The version of a row."""
    return Version(
        code=row.code,
        number=row.number,
        author_id=row.author_id,
        created_at=row.created_at,
        publisher=row.decided_by or "",
        published_at=row.published_at,
        time_zone=row.time_zone or "",
        sale=Sale(row.number, row.starts_on, row.ends_on, row.renew_with) if row.starts_on else None,
    )
