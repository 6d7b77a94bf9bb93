"""Sales of products in the database: append-only, and the last row of a version holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.quotes.catalogue.rules.sale import Sale
from services.quotes.catalogue.store.products import Row


class SaleRow(Row):
    """What was decided about the sale of a version, and by whom."""

    __tablename__ = "product_sales"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    version: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    renew_with: Mapped[int | None]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]


_sales = SaleRow.__table__
_ADD = sa.insert(_sales)
_CURRENT = (
    sa.select(*_sales.c)
    .ext(distinct_on(_sales.c.code, _sales.c.version))
    .order_by(_sales.c.code, _sales.c.version, _sales.c.id.desc())
)


def lock(session: Session, code: str) -> Sequence[Sale]:
    """The sales of a product, whose changes others wait with until the transaction ends."""
    # No row stands for a product as a whole: there may be no version of it yet.
    key = sa.func.hashtextextended(f"sales of {code}", 0)
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
    return list_by_product(session, code)


def list_by_product(session: Session, code: str) -> Sequence[Sale]:
    """The sales of a product, one for each published version."""
    return [sale_from_row(row) for row in session.execute(_CURRENT.where(_sales.c.code == code))]


def list_all(session: Session) -> Mapping[str, Sequence[Sale]]:
    """The sales of every product, by its code."""
    by_code: dict[str, list[Sale]] = {}
    for row in session.execute(_CURRENT):
        by_code.setdefault(row.code, []).append(sale_from_row(row))
    return by_code


def add(session: Session, code: str, sale: Sale, decided_by: str, decided_at: datetime) -> None:
    """Save what was decided: from now on it holds for the version."""
    session.execute(_ADD, row_from_sale(code, sale, decided_by, decided_at))


def row_from_sale(code: str, sale: Sale, decided_by: str, decided_at: datetime) -> dict[str, Any]:
    """The row of a sale."""
    return {
        "code": code,
        "version": sale.version,
        "starts_on": sale.starts_on,
        "ends_on": sale.ends_on,
        "renew_with": sale.renew_with,
        "decided_by": decided_by,
        "decided_at": decided_at,
    }


def sale_from_row(row: Any) -> Sale:
    """The sale of a row."""
    return Sale(row.version, row.starts_on, row.ends_on, row.renew_with)
