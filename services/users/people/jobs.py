"""What happens in the background: who registered by a program that knew of no customers becomes one."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from libs import clock, ids
from libs.db import Database
from libs.jobs import JobRunner
from services.users.accounts.rules.user import Role
from services.users.accounts.store import users
from services.users.people.flows import making
from services.users.people.kinds import MAKE_PARTIES
from services.users.people.store import customers

_LOOKED_BACK = timedelta(days=1)  # programs of before run no longer beside this one
_AT_ONCE = 500  # users in one transaction


def register(runner: JobRunner, database: Database) -> None:
    """Tell the runner what to do for each kind of job."""
    runner.every("23 * * * *", MAKE_PARTIES, lambda: make_parties(database, clock.now()))


def make_parties(database: Database, now: datetime) -> None:
    """Make the customers of users of the last day who have none and should."""
    behind: UUID | None = ids.first_of(clock.real_now() - _LOOKED_BACK)
    while behind is not None:
        with database.transaction() as session:
            batch = users.list_behind(session, behind, _AT_ONCE)
            buyers = [user for user in batch if Role.CUSTOMER in user.roles]
            known = customers.find_known(session, [user.id for user in buyers])
            for user in buyers:
                if user.id not in known:
                    making.make_of_user(session, user, now)
            behind = batch[-1].id if len(batch) == _AT_ONCE else None
