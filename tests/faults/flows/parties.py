"""Who holds a policy, who owes for it and who serves it."""

from __future__ import annotations

from bazaruto.policies.v1 import parties_pb2
from libs import ids
from libs.rpc import values
from tests.faults.flows.flow import Case, Flow, bought
from tests.faults.world import World


def _someone(world: World) -> str:
    """A party that users knows."""
    customer_id = ids.encode("cus", ids.new())
    world.users.customers.add(customer_id)
    return customer_id


def transfer(world: World, case: Case) -> None:
    """Give the policy to another holder."""
    request = parties_pb2.TransferPolicyRequest(
        policy_id=case.policy_id, customer_id=_someone(world), consent="Both signed."
    )
    world.call(world.policies.TransferPolicy, request, case.person)
    world.deliver()


def set_payer(world: World, case: Case) -> None:
    """Let another party pay."""
    request = parties_pb2.SetPayerRequest(policy_id=case.policy_id, payer_id=_someone(world))
    world.call(world.policies.SetPayer, request, case.person)
    world.deliver()


def change_partner(world: World, case: Case) -> None:
    """The holder is served by a partner from today on, says users."""
    assert case.person.id is not None
    request = parties_pb2.PartyChangedRequest(
        customer_id=ids.encode("cus", case.person.id),
        version=1,
        partner_id=ids.encode("par", ids.new()),
        start_date=values.date_to_proto(world.today),
    )
    # The job that tells it goes on until nothing is left to be changed; what is repeated changes nothing more.
    world.call(world.policies.PartyChanged, request, world.people.service("users-worker"), lambda reply: reply.waiting)
    world.deliver()


FLOWS = (
    Flow("transfer", bought(), transfer),
    Flow("another payer", bought(), set_payer),
    Flow("another partner", bought(), change_partner),
)
