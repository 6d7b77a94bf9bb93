"""Accounts are listed for their owners, whoever calls."""

from __future__ import annotations

from libs import ids
from services.users.accounts.store import users
from tests.integration.users.house import House
from tests.support.scopes import check_list


def test_list_of_users_never_shows_others(house: House) -> None:
    owners = [ids.decode("usr", house.register().user_id) for _ in range(4)]
    with house.database.reading() as session:
        check_list(owners, lambda scope: [user.id for user in users.list_of(session, scope, None, 100)])
