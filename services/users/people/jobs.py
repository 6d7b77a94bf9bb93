"""What happens in the background: planned partners begin to serve, policies hear of them, and who registered by a
program that knew of no customers becomes one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from libs import audit, clock, ids
from libs.db import Database
from libs.jobs import JobRunner, required
from libs.rpc import giving_up
from services.users.accounts.rules.user import Role
from services.users.accounts.store import users
from services.users.clients import Policies
from services.users.people.flows import changing, making, telling
from services.users.people.kinds import FOLLOW_PLAN, MAKE_PARTIES, TELL_PARTNER, FollowPlan, TellPartner
from services.users.people.rules import customer
from services.users.people.store import customers

_LOOKED_BACK = timedelta(days=1)  # programs of before run no longer beside this one
_AT_ONCE = 500  # users in one transaction


class PoliciesWaiting(RuntimeError):
    """Policies of the customer could not be changed yet; the job is tried again."""


def register(runner: JobRunner, database: Database, policies: Policies) -> None:
    """Tell the runner what to do for each kind of job."""

    def tell_partner(job: TellPartner) -> None:
        with giving_up.when_refused():
            waiting = policies.tell_partner(job.customer_id, job.version, job.partner_id, job.since)
        if waiting:
            raise PoliciesWaiting(f"{waiting} policies have no timeline yet")

    def follow_plan(job: FollowPlan) -> None:
        with database.transaction() as session:
            before = required(customers.lock(session, job.customer_id), "customer", job.customer_id)
            after = customer.follow_plan(before, clock.now())
            changing.save(session, "partner_assigned", before, after, audit.SYSTEM)
            telling.of_partner(session, before, after)

    runner.handle(TELL_PARTNER, tell_partner)
    runner.handle(FOLLOW_PLAN, follow_plan)
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
