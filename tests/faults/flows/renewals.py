"""Next terms: offered, begun by the holder or by themselves, paid for or not taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bazaruto.policies.v1 import renewal_pb2
from bazaruto.quotes.v1 import quote_pb2
from libs import clock
from services.payments.billing.kinds import ISSUE_DUE_INVOICES
from services.payments.collection.kinds import CLOSE_UNPAID_POLICIES
from services.policies.lifecycle.kinds import OFFER_RENEWALS, RENEW_DUE
from tests.faults.flows.arrears import pay
from tests.faults.flows.flow import Case, Flow, bought
from tests.faults.world import World

DEVICE: dict[str, Any] = {
    "productCode": "device",
    "objects": [
        {
            "objectCode": "device",
            "fields": {
                "serial_number": "F2LXK0AB12CD",
                "model": "Phone",
                "category": "phone",
                "bought": "2026-05-02",
                "price": "900.00",
            },
        }
    ],
    "answers": {"use": "private", "abroad": False, "claims_3_years": 0},
}
"""A telephone, whose next terms count once they are paid for."""
OFFERED, BEGUN, OVER = 340, 360, 370  # days after it was bought


def _of_device(world: World) -> Case:
    person = world.buyer()
    return Case(person, world.in_force(person, "annual", DEVICE))


def _after(days: int, before: Callable[[World], Case], *acts: Callable[[World, Case], None]) -> Callable[[World], Case]:
    """A policy some days after it was bought, before which something was done."""

    def prepare(world: World) -> Case:
        case = before(world)
        for act, day in zip(acts, (OFFERED, BEGUN), strict=False):
            world.move_to(world.begins_at + timedelta(days=day))
            act(world, case)
        world.move_to(world.begins_at + timedelta(days=days))
        return case

    return prepare


def offer(world: World, case: Case) -> None:
    """The night in which the next term is offered."""
    world.come_due(OFFER_RENEWALS)


def renew(world: World, case: Case) -> None:
    """The night in which the next term begins by itself, and is billed."""
    world.come_due(RENEW_DUE)
    world.come_due(ISSUE_DUE_INVOICES)


def renew_by_hand(world: World, case: Case) -> None:
    """The holder has the next term quoted with another answer, accepts it, has it begin and pays."""
    request = renewal_pb2.QuoteRenewalRequest(policy_id=case.policy_id)
    request.answers.update({"annual_km": 25000})
    offered = world.call(world.renewals.QuoteRenewal, request, case.person, lambda reply: reply.quote_id)
    world.call(world.quotes.AcceptQuote, quote_pb2.AcceptQuoteRequest(quote_id=offered.quote_id), case.person)
    begin = renewal_pb2.RenewPolicyRequest(policy_id=case.policy_id, quote_id=offered.quote_id)
    world.call(world.renewals.RenewPolicy, begin, case.person)
    world.deliver(timedelta(hours=1))
    world.come_due(ISSUE_DUE_INVOICES)
    pay(world, case)


def refuse(world: World, case: Case) -> None:
    """The holder wants no next term; nothing is offered."""
    request = renewal_pb2.SetRenewalPreferenceRequest(
        policy_id=case.policy_id, preference=renewal_pb2.RENEWAL_PREFERENCE_NONE
    )
    world.call(world.renewals.SetRenewalPreference, request, case.person)
    offer(world, case)


def close(world: World, case: Case) -> None:
    """Nobody paid for the next term in its time: it was not taken.

    Where policies does not answer, it is asked again the next night.
    """
    world.come_due(CLOSE_UNPAID_POLICIES)
    world.move_to(clock.now() + timedelta(days=1))
    world.come_due(CLOSE_UNPAID_POLICIES)


FLOWS = (
    Flow("no next term", _after(OFFERED, bought("annual")), refuse),
    Flow("renewal by its holder", _after(BEGUN, bought("annual"), offer), renew_by_hand),
    Flow("renewal by itself", _after(BEGUN, bought("annual"), offer), renew),
    Flow("payment of a next term", _after(BEGUN, _of_device, offer, renew), pay),
    Flow("next term that is not taken", _after(OVER, _of_device, offer, renew), close),
)
