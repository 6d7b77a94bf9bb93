"""Delinquencies as the contract carries them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bazaruto.payments.v1 import delinquency_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.billing.rules.delinquency import Delinquency, Ending, Known, State, day_of_step
from services.payments.billing.rules.dunning import Action, Done, Dunning, Step

_STATES: Final = {state: pb.Delinquency.State.Value(f"STATE_{state.upper()}") for state in State}
_ENDINGS: Final = {ending: pb.Delinquency.Ending.Value(f"ENDING_{ending.upper()}") for ending in Ending}
_ACTIONS: Final = {action: pb.DunningStep.Action.Value(f"ACTION_{action.upper()}") for action in Action}


def delinquency_to_proto(known: Known, done: Sequence[Done] = (), dunning: Dunning | None = None) -> pb.Delinquency:
    """The delinquency as it stands, with the steps that were done; with those to come where `dunning` is given."""
    current = known.delinquency
    suspension = current.suspension
    steps = [_done_to_proto(step, current.amount.currency) for step in done]
    if dunning and current.state in (State.PAST_DUE, State.IN_GRACE):
        steps += [_planned_to_proto(current, step) for step in dunning.steps[current.steps_done :]]
    return pb.Delinquency(
        delinquency_id=ids.encode("dlq", current.id),
        policy_id=ids.encode("pol", current.account_id),
        billing_account_id=ids.encode("bac", current.account_id),
        customer_id=ids.encode("cus", known.user_id),
        state=pb.Delinquency.STATE_SUSPENDED if suspension else _STATES[current.state],
        version=current.version,
        due_date=values.date_to_proto(current.due_on),
        past_due=values.money_to_proto(current.amount),
        grace_end_date=values.date_to_proto(current.grace_ends_on) if current.grace_ends_on else None,
        suspended_until_date=values.date_to_proto(suspension.until) if suspension else None,
        suspend_reason=suspension.reason if suspension else "",
        steps=steps,
        create_time=values.time_to_proto(current.opened_at),
        end_time=values.time_to_proto(current.ended_at) if current.ended_at else None,
        ending=_ENDINGS[current.ending] if current.ending else pb.Delinquency.ENDING_UNSPECIFIED,
    )


def _done_to_proto(step: Done, currency: str) -> pb.DunningStep:
    return pb.DunningStep(
        step_number=step.number,
        action=_ACTIONS[step.action],
        done_time=values.time_to_proto(step.done_at),
        past_due=values.money_to_proto(Money(step.amount, currency)),
        grace_end_date=values.date_to_proto(step.grace_ends_on),
    )


def _planned_to_proto(current: Delinquency, step: Step) -> pb.DunningStep:
    """A step to come. While the delinquency is suspended, nobody knows its day."""
    day = None if current.suspension else values.date_to_proto(day_of_step(current, step))
    return pb.DunningStep(step_number=step.number, action=_ACTIONS[step.action], planned_date=day)
