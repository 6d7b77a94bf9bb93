"""Nightly runs over several policies, of which one cannot be done: it is parked, and the others are done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bazaruto.payments.v1 import ledger_pb2
from libs.jobs import JobKind
from services.payments.billing.kinds import ISSUE_DUE_INVOICES, LEARN_PRODUCT_TERMS, RECONCILE, RUN_DUNNING
from services.payments.ledger.kinds import CLOSE_DAYS, EARN_PERIOD
from services.policies.lifecycle.kinds import OFFER_RENEWALS, RENEW_DUE
from tests.faults.flows.flow import Case, Flow, bought
from tests.faults.flows.renewals import BEGUN, OFFERED
from tests.faults.world import World


def _book(
    days: int, refused: tuple[str, str, str], *before: tuple[int, JobKind[Any]], plan: str = "annual", count: int = 3
) -> Callable[[World], Case]:
    """Some policies, so many days after they were bought, of which nothing can be written into a table for one."""

    def prepare(world: World) -> Case:
        person = world.buyer()
        book = [world.issue(person, plan) for _ in range(count)]
        world.deliver(timedelta(minutes=1))
        for day, kind in before:
            world.move_to(world.begins_at + timedelta(days=day))
            world.come_due(kind)
        world.move_to(world.begins_at + timedelta(days=days))
        world.refuse(*refused, book[1])
        return Case(person, book[0], tuple(book[1:]))

    return prepare


def _differing(world: World) -> Case:
    """Two policies that payments has not heard of for days; of one of them even that cannot be written down."""
    case = bought("annual")(world)
    untold = tuple(world.issue(case.person, "annual") for _ in range(2))
    world.forget_jobs()
    world.move_to(world.begins_at + timedelta(days=2))
    world.refuse("payments", "reconciliation_differences", "policy_id", untold[0])
    return Case(case.person, case.policy_id, untold)


def _night(kind: JobKind[Any]) -> Callable[[World, Case], None]:
    def act(world: World, case: Case) -> None:
        world.come_due(kind)

    return act


def earn_by_hand(world: World, case: Case) -> None:
    """Somebody of finance has the last period earned."""
    period = f"{world.today.replace(day=1) - timedelta(days=1):%Y-%m}"
    world.call(world.ledger.RunEarning, ledger_pb2.RunEarningRequest(period=period), world.people.user("finance"))
    world.deliver()


_EARNINGS = "payments", "earnings", "policy_id"
FLOWS = (
    Flow(
        "night of dunning",
        _book(
            33,
            ("payments", "delinquencies", "account_id"),
            (28, ISSUE_DUE_INVOICES),
            (32, LEARN_PRODUCT_TERMS),
            plan="monthly",
        ),
        _night(RUN_DUNNING),
    ),
    Flow("night of earning", _book(40, _EARNINGS), _night(EARN_PERIOD)),
    Flow("earning that was asked for", _book(40, _EARNINGS), earn_by_hand),
    Flow("night of reconciling", _differing, _night(RECONCILE)),
    Flow("sums of days", _book(2, _EARNINGS), _night(CLOSE_DAYS)),
    Flow("night of offers", _book(OFFERED, ("policies", "renewals", "policy_id"), count=2), _night(OFFER_RENEWALS)),
    Flow(
        "night of renewals",
        _book(BEGUN, ("policies", "policy_transactions", "policy_id"), (OFFERED, OFFER_RENEWALS), count=2),
        _night(RENEW_DUE),
    ),
)
