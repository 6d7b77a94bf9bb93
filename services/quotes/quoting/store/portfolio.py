"""The quotes of a product that have a price, read one part after another: to rate them again.

Those of changes of policies are left out: they cost the difference between two timelines, which is no price of a risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.premium import Coverage, InsuredObject
from services.quotes.quoting.rules.approval import Approval
from services.quotes.quoting.rules.quote import Kind, State
from services.quotes.quoting.rules.underwriting import Outcome
from services.quotes.quoting.store.rows import QuoteRow
from services.quotes.rating.rules.loading import Loading
from services.quotes.rating.rules.pricing import Risk

_quotes = QuoteRow.__table__


class PricedQuote(NamedTuple):
    """A quote with its risk, as it would be asked again, its price in minor units, and how it was decided."""

    id: UUID
    number: str
    starts_on: date
    risk: Risk
    currency: str
    total: int
    steps: Sequence[tuple[str, int]]
    """Name and amount of each step of the price."""
    outcome: Outcome
    rules: frozenset[str]
    """The rules that referred or declined it."""
    approval: Approval
    """What an underwriter approved, and added to its price."""


class Extent(NamedTuple):
    """How many quotes there are, and the last one of them."""

    quotes: int
    last_id: UUID | None


def find_extent(session: Session, product_code: str, *, only_bound: bool) -> Extent:
    """How many quotes of a product have a price now."""
    priced = sa.select(_quotes.c.id).where(*_priced(product_code, only_bound))
    last = priced.order_by(_quotes.c.id.desc()).limit(1).scalar_subquery()
    return Extent(*session.execute(sa.select(sa.func.count(), last).select_from(priced.subquery())).one())


def list_priced(
    session: Session, product_code: str, *, only_bound: bool, after: UUID | None, last_id: UUID, limit: int
) -> Sequence[PricedQuote]:
    """The quotes behind `after` up to `last_id`, in the order of their identifiers."""
    columns = (
        _quotes.c.id, _quotes.c.number, _quotes.c.state, _quotes.c.starts_on, _quotes.c.answers, _quotes.c.coverages,
        _quotes.c.objects, _quotes.c.currency, _quotes.c.net, _quotes.c.tax, _quotes.c.fees,
        _quotes.c.steps, _quotes.c.reasons, _quotes.c.kind, _quotes.c.approved_rules, _quotes.c.loadings,
    )  # fmt: skip
    query = (
        sa.select(*columns)
        .where(*_priced(product_code, only_bound), _quotes.c.id <= last_id)
        .order_by(_quotes.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(_quotes.c.id > after)
    return [priced_quote_from_row(row) for row in session.execute(query)]


def priced_quote_from_row(row: Any) -> PricedQuote:
    """The quote of a row."""
    rules = frozenset(reason[0] for reason in row.reasons)
    approved = tuple(row.approved_rules or ())
    if rules.issubset(approved):
        outcome = Outcome.APPROVED
    else:
        outcome = Outcome.DECLINED if row.state == State.DECLINED else Outcome.REFERRED
    return PricedQuote(
        row.id,
        row.number,
        row.starts_on,
        Risk(
            row.answers,
            [Coverage.of_minor(*value, currency=row.currency) for value in row.coverages],
            row.starts_on,
            [InsuredObject(*value) for value in row.objects or ()],
            "renewal" if row.kind == Kind.RENEWAL else "new_business",
        ),
        row.currency,
        row.net + row.tax + row.fees,
        [(step[0], step[4]) for step in row.steps],
        outcome,
        rules.union(approved),
        Approval(approved, tuple(Loading(code, Decimal(rate)) for code, rate in row.loadings or ())),
    )


def _priced(product_code: str, only_bound: bool) -> list[sa.ColumnElement[bool]]:
    conditions = [
        _quotes.c.product_code == product_code,
        _quotes.c.net.is_not(None),
        _quotes.c.kind != Kind.ENDORSEMENT,
    ]
    return [*conditions, _quotes.c.state == State.BOUND] if only_bound else conditions
