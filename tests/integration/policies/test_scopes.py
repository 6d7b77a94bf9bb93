"""Policies are listed for their owners, whoever calls."""

from __future__ import annotations

import sqlalchemy as sa

from libs import ids
from services.policies.lifecycle.store import policies
from tests.integration.policies.house import House
from tests.support.people import People
from tests.support.scopes import check_list


def test_list_of_policies_never_shows_those_of_others(house: House, people: People) -> None:
    owners = [ids.decode("usr", house.issue(people.customer()).user_id) for _ in range(4)]
    with house.database.reading() as session:
        check_list(
            owners,
            lambda scope: [
                policy.user_id for policy in policies.list_of(session, scope, policies.Filter(), sa.true(), None, 100)
            ],
        )
