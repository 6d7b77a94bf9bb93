"""A scope that is applied to a query leaves the rows that it covers, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.config import DbSettings
from libs.db import Database
from libs.db.scoping import scoped
from libs.identity.scopes import EVERYBODY, Of, Scope
from tests.support.sections import section

ANA, BEN, CARLA, BROKER, OTHER_BROKER = (ids.new() for _ in range(5))
THINGS = [(owner, partner) for owner in (ANA, BEN, CARLA) for partner in (BROKER, OTHER_BROKER, None)]

_things = sa.Table("things", sa.MetaData(), sa.Column("owner", sa.Uuid), sa.Column("partner", sa.Uuid))
_ALL = sa.select(_things)

scopes = st.one_of(
    st.just(EVERYBODY),
    st.builds(
        Of,
        st.frozensets(st.sampled_from([ANA, BEN, CARLA, ids.new()])),
        st.sampled_from([BROKER, OTHER_BROKER, ids.new(), None]),
    ),
)


@pytest.fixture
def database(make_database: Callable[[str], str]) -> Iterator[Database]:
    """A database with a table of things, which have owners and partners."""
    database = Database(make_database("users"), section(DbSettings, max_connections=1), "test-scoping")
    database.open()
    with database.transaction() as session:
        _things.create(session.connection())
        session.execute(sa.insert(_things), [{"owner": owner, "partner": partner} for owner, partner in THINGS])
    yield database
    database.close()


def test_query_gives_what_its_scope_covers(database: Database) -> None:
    with database.reading() as session:

        @given(scopes)
        def rows_are_those_that_the_scope_covers(scope: Scope) -> None:
            query = scoped(_ALL, scope, owner=_things.c.owner, partner=_things.c.partner)
            rows = [(row.owner, row.partner) for row in session.execute(query)]
            assert sorted(rows, key=str) == sorted((thing for thing in THINGS if scope.covers(*thing)), key=str)

        rows_are_those_that_the_scope_covers()


def test_nothing_came_by_a_partner_where_no_column_names_one(database: Database) -> None:
    with database.reading() as session:
        assert session.execute(scoped(_ALL, Of(partner=BROKER), owner=_things.c.owner)).all() == []
        owners = {
            row.owner for row in session.execute(scoped(_ALL, Of(frozenset({ANA}), BROKER), owner=_things.c.owner))
        }
        assert owners == {ANA}


def test_no_scope_is_not_everybody() -> None:
    absent: Any = None
    with pytest.raises(AssertionError):
        scoped(_ALL, absent, owner=_things.c.owner)
