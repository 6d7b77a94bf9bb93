"""Buying a policy, and what changes or ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bazaruto.policies.v1 import approval_pb2, cancellation_pb2, endorsement_pb2, reinstatement_pb2
from bazaruto.quotes.v1 import quote_pb2
from libs import ids
from libs.rpc import values
from services.payments.billing.kinds import RELEASE_REFUND
from tests.faults.flows.flow import Case, Flow, bought
from tests.faults.world import World


def _nobody(world: World) -> Case:
    return Case(world.buyer(), "")


def buy(world: World, case: Case) -> None:
    """Buy a policy, and have the first premium collected."""
    case.policy_id = world.issue(case.person)
    world.deliver()


def endorse(world: World, case: Case, in_days: int = 40, **answers: Any) -> None:
    """Change an answer from a day on."""
    request = endorsement_pb2.QuoteEndorsementRequest(
        policy_id=case.policy_id, effective_date=values.date_to_proto(world.today + timedelta(days=in_days))
    )
    request.answers.update(answers or {"annual_km": 30000})
    quoted = world.call(world.policies.QuoteEndorsement, request, case.person, lambda reply: reply.quote.quote_id).quote
    accept = quote_pb2.AcceptQuoteRequest(quote_id=quoted.quote_id)
    world.call(world.quotes.AcceptQuote, accept, case.person)
    issue = endorsement_pb2.IssueEndorsementRequest(policy_id=case.policy_id, quote_id=quoted.quote_id)
    world.call(world.policies.IssueEndorsement, issue, case.person)
    world.deliver()


def _endorsed(world: World) -> Case:
    case = bought()(world)
    endorse(world, case, in_days=80)
    return case


def endorse_out_of_sequence(world: World, case: Case) -> None:
    """Change another answer from an earlier day on than the change before."""
    endorse(world, case, in_days=20, use="commuting")


def cancel(
    world: World,
    case: Case,
    in_days: int = 0,
    reason: str = "cooling_off",
    within: timedelta = timedelta(days=20),
) -> None:
    """Cancel, with all that is paid back."""
    request = cancellation_pb2.CancelPolicyRequest(
        policy_id=case.policy_id,
        reason=reason,
        effective_date=values.date_to_proto(world.today + timedelta(days=in_days)),
    )
    world.call(world.policies.CancelPolicy, request, case.person)
    world.deliver(within)


def _unsent(world: World) -> Case:
    """The process that was to send a refund died before it asked the provider."""
    case = bought("annual")(world)
    with world.points.watching(lambda step, number: (step, number) == (RELEASE_REFUND.name, 1)):
        cancel(world, case, within=timedelta(seconds=1))
    assert world.points.kills
    return case


def wait(world: World, case: Case) -> None:
    """Nobody does anything: what is left behind is found and ended."""
    world.deliver()


def _cancelled(world: World) -> Case:
    case = bought()(world)
    cancel(world, case, 60, "vehicle_sold")
    return case


def rescind(world: World, case: Case) -> None:
    """Take a cancellation back that has not taken effect."""
    request = cancellation_pb2.RescindCancellationRequest(policy_id=case.policy_id)
    world.call(world.policies.RescindCancellation, request, case.person)
    world.deliver()


def reverse(world: World, case: Case) -> None:
    """Take the last transaction back, asked by one and approved by another."""
    key = ids.decode("pol", case.policy_id)
    ((last,),) = world.rows(
        "policies", f"SELECT id FROM policy_transactions WHERE policy_id = '{key}' ORDER BY sequence DESC LIMIT 1"
    )
    request = reinstatement_pb2.ReversePolicyTransactionRequest(
        policy_id=case.policy_id, transaction_id=ids.encode("ptx", last), reason="It was entered by mistake."
    )
    asked = world.call(world.policies.ReversePolicyTransaction, request, world.people.user("underwriter"))
    decide = approval_pb2.DecidePolicyApprovalRequest(
        approval_id=asked.approval_id, decision=approval_pb2.DecidePolicyApprovalRequest.DECISION_APPROVE
    )
    world.call(world.approvals.DecidePolicyApproval, decide, world.people.admin())
    world.deliver()


FLOWS = (
    Flow("purchase", _nobody, buy),
    Flow("endorsement", bought(), endorse),
    Flow("endorsement out of sequence", _endorsed, endorse_out_of_sequence),
    Flow("cancellation", bought("annual"), cancel),
    Flow("refund whose process died", _unsent, wait),
    Flow("rescission", _cancelled, rescind),
    Flow("reversal", _endorsed, reverse),
)
