"""Applying scopes: the one place where a list leaves out what its caller is not shown."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never
from uuid import UUID

import sqlalchemy as sa

from libs.identity.scopes import Everybody, Of, Scope

Query = TypeVar("Query", bound=sa.Select[Any])


def scoped(
    query: Query, scope: Scope, *, owner: sa.ColumnElement[UUID], partner: sa.ColumnElement[Any] | None = None
) -> Query:
    """The query, for the rows of the scope only. `owner` and `partner` are the columns that say whose a row is.

    Where no column names the partner, no row came by one.
    """
    match scope:
        case Everybody():
            return query
        case Of(owners, partner_id):
            is_own = _is_one_of(owner, owners)
            return query.where(is_own if partner is None or partner_id is None else is_own | (partner == partner_id))
        case _:
            assert_never(scope)


def _is_one_of(column: sa.ColumnElement[UUID], owners: frozenset[UUID]) -> sa.ColumnElement[bool]:
    """Usually it is one. SQLAlchemy renders IN anew for every execution, which adds half to the cost of a list."""
    return column == next(iter(owners)) if len(owners) == 1 else column.in_(owners)
