"""Quotes are listed for their owners, whoever calls."""

from __future__ import annotations

from datetime import UTC, datetime

from libs import ids
from services.quotes.quoting.rules.filter import Filter
from services.quotes.quoting.store import quotes
from tests.integration.quotes.conftest import House
from tests.support.people import People
from tests.support.scopes import check_list


def test_list_of_quotes_never_shows_those_of_others(house: House, people: People) -> None:
    owners = [ids.decode("usr", house.create(people.customer()).user_id) for _ in range(4)]
    with house.database.reading() as session:
        check_list(
            owners,
            lambda scope: [
                quote.user_id for quote in quotes.list_of(session, scope, Filter(), datetime.now(UTC), None, 100)
            ],
        )
