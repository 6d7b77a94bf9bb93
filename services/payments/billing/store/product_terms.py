"""What versions of products say of premium that is not paid, as quotes answered once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.payments.billing.rules.dunning import NO_TERMS, Action, Dunning, ProductTerms
from services.payments.billing.rules.transaction import Kind
from services.payments.billing.store.rows import Row, TransactionRow


class ProductTermsRow(Row):
    """What a version of a product says; append-only."""

    __tablename__ = "product_terms"

    product_code: Mapped[str] = mapped_column(primary_key=True)
    product_version: Mapped[int] = mapped_column(primary_key=True)
    grace_days: Mapped[int | None]
    steps: Mapped[list[list[Any]]] = mapped_column(JSONB)


_terms = ProductTermsRow.__table__
_applied = TransactionRow.__table__
_BEGINS_TERM = _applied.c.kind.in_((Kind.NEW_BUSINESS, Kind.RENEWAL))
_GOVERNING = (
    sa.select(_applied.c.account_id, _applied.c.term_number, _applied.c.product_code, _terms)
    .outerjoin(
        _terms,
        (_terms.c.product_code == _applied.c.product_code) & (_terms.c.product_version == _applied.c.product_version),
    )
    .where(_applied.c.account_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), _BEGINS_TERM)
    .order_by(_applied.c.account_id, _applied.c.sequence)
)
_ADD = insert(_terms).on_conflict_do_nothing()


def find_of_accounts(session: Session, account_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[int, ProductTerms]]:
    """What governs the terms of accounts, by their numbers; without those of which quotes was not asked yet."""
    governing: dict[UUID, dict[int, ProductTerms]] = defaultdict(dict)
    for account_id, term_number, code, *row in session.execute(_GOVERNING, {"ids": list(account_ids)}):
        if row[0] is not None:
            governing[account_id][term_number] = _from_row(row)
        elif not code:
            governing[account_id][term_number] = NO_TERMS
    return governing


def find_unknown(session: Session) -> Collection[tuple[str, int]]:
    """The versions of products that govern terms of policies, and of which quotes was not asked yet."""
    known = sa.select(_terms.c.product_code).where(
        _terms.c.product_code == _applied.c.product_code, _terms.c.product_version == _applied.c.product_version
    )
    query = (
        sa.select(_applied.c.product_code, _applied.c.product_version)
        .distinct()
        .where(_BEGINS_TERM, _applied.c.product_code != "", ~known.exists())
    )
    return [(row.product_code, row.product_version) for row in session.execute(query)]


def add(session: Session, terms: ProductTerms) -> None:
    """Save what a version says, unless it is known."""
    dunning = terms.dunning
    row = {
        "product_code": terms.product_code,
        "product_version": terms.product_version,
        "grace_days": dunning.grace_days if dunning else None,
        "steps": [[step.day, step.action] for step in dunning.steps] if dunning else [],
    }
    session.execute(_ADD, row)


def _from_row(row: Any) -> ProductTerms:
    code, version, grace_days, steps = row
    dunning = None if grace_days is None else Dunning.of(grace_days, ((day, Action(do)) for day, do in steps))
    return ProductTerms(code, version, dunning)
