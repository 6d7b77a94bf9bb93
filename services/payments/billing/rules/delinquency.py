"""A delinquency: an episode in which premium of a policy is past due, from its first day to its settlement or lapse.

Every step of it, whatever caused it, raises its version, which counts over all episodes of a policy: whoever hears of
two versions knows which is the newer one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.errors import FieldInvalid, Refused
from libs.money import Money
from services.payments.billing.rules.dunning import Action, Dunning, Step

LONGEST_SUSPENSION = timedelta(days=366)
_ONE_DAY = timedelta(days=1)


class PolicyLapsing(Refused):
    """Grace is over and the policy is just lapsing: what is owed then is known in a moment."""

    reason = "POLICY_LAPSING"


class DelinquencyStateInvalid(Refused):
    """The delinquency is in a state that does not allow the operation."""

    reason = "DELINQUENCY_STATE_INVALID"


class State(StrEnum):
    """How far a delinquency has come."""

    PAST_DUE = "past_due"
    IN_GRACE = "in_grace"
    LAPSING = "lapsing"
    LAPSED = "lapsed"
    SETTLED = "settled"


class Ending(StrEnum):
    """Why a delinquency is settled."""

    PAID = "paid"
    """All that was past due is paid, or credited."""
    POLICY_ENDED = "policy_ended"
    """The policy ended otherwise; what is owed for it is still owed."""
    REINSTATED = "reinstated"
    """The policy was put back, or its lapse reversed."""


BEFORE_LAPSE = (State.PAST_DUE, State.IN_GRACE)


@dataclass(frozen=True, slots=True)
class Suspension:
    """That nothing is done for a while."""

    began_on: date
    until: date
    """The day on which it goes on."""
    reason: str


@dataclass(frozen=True, slots=True)
class Delinquency:
    """An episode in which premium of a policy is past due."""

    id: UUID
    account_id: UUID
    """The billing account, which has the policy's identifier."""
    version: int
    due_on: date
    """The due date that it counts from: the first one that passed without payment."""
    amount: Money
    """What is past due, when the last step was taken."""
    term_number: int
    """The term of the invoice that fell due first; its product says what is done."""
    opened_at: datetime
    state: State = State.PAST_DUE
    grace_ends_on: date | None = None
    """The first day without cover; None before there is grace."""
    held_days: int = 0
    """By how many days its steps are later than the product says: suspension, and notice that went out late."""
    steps_done: int = 0
    next_on: date | None = None
    """The first day on which something is to be done; None when nothing is."""
    suspension: Suspension | None = None
    ending: Ending | None = None
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not come to its end."""
        return self.state is not State.SETTLED


@dataclass(frozen=True, slots=True)
class Known:
    """A delinquency, and whose policy it is about."""

    delinquency: Delinquency
    user_id: UUID
    """The party that holds the policy."""
    partner_id: UUID | None
    time_zone: str


def open_for(
    delinquency_id: UUID,
    account_id: UUID,
    last_version: int,
    due_on: date,
    amount: Money,
    term_number: int,
    now: datetime,
) -> Delinquency:
    """A new episode; `last_version` is that of the one before, or 0."""
    return Delinquency(delinquency_id, account_id, last_version + 1, due_on, amount, term_number, now)


def begin_grace(delinquency: Delinquency, dunning: Dunning) -> Delinquency:
    """The delinquency with its days of grace, counted from the due date: it ends with the first moment of a day."""
    began = _changed(delinquency, state=State.IN_GRACE)
    return _planned(began, dunning)


def next_step(delinquency: Delinquency, dunning: Dunning) -> Step | None:
    """The step to be done next; None when all are, or none is to be done for now."""
    if delinquency.state is not State.IN_GRACE or delinquency.suspension:
        return None
    left = dunning.steps[delinquency.steps_done :]
    return left[0] if left else None


def day_of_step(delinquency: Delinquency, step: Step) -> date:
    """The day on which a step is to be done."""
    return delinquency.due_on + timedelta(days=step.day + delinquency.held_days)


def do(delinquency: Delinquency, dunning: Dunning, step: Step, today: date) -> Delinquency:
    """The delinquency after a step was done today.

    Notice gives its days from the day it is sent: sent late, it moves what follows it, the end of grace among them.
    """
    # The first day after the due date is the earliest on which anything can be done.
    earliest = max(day_of_step(delinquency, step), delinquency.due_on + _ONE_DAY)
    late = max((today - earliest).days, 0) if step.action is Action.NOTICE else 0
    done = _changed(delinquency, steps_done=step.number, held_days=delinquency.held_days + late)
    if step.action is Action.LAPSE:
        return replace(done, state=State.LAPSING, next_on=None)
    return _planned(done, dunning)


def wait(delinquency: Delinquency, today: date) -> Delinquency:
    """The delinquency, whose next step cannot be done today. It is no step of its own."""
    return replace(delinquency, next_on=today + _ONE_DAY)


def with_amount(delinquency: Delinquency, amount: Money) -> Delinquency:
    """The delinquency with what is past due now; the very same one when that is as before."""
    return delinquency if amount == delinquency.amount else _changed(delinquency, amount=amount)


def lapsed(delinquency: Delinquency) -> Delinquency:
    """The delinquency whose policy lapsed."""
    return _changed(delinquency, state=State.LAPSED, next_on=None, suspension=None)


def settle(delinquency: Delinquency, ending: Ending, amount: Money, now: datetime) -> Delinquency:
    """The delinquency at its end, which is final: the next arrears begin another one."""
    return _changed(
        delinquency,
        state=State.SETTLED,
        ending=ending,
        amount=amount,
        ended_at=now,
        next_on=None,
        suspension=None,
    )


def suspend(delinquency: Delinquency, until: date, reason: str, today: date) -> Delinquency:
    """The delinquency, of which nothing is done until a day; suspended before, it gets another day and reason."""
    if delinquency.state not in BEFORE_LAPSE:
        raise DelinquencyStateInvalid(state=delinquency.state)
    if not today < until <= today + LONGEST_SUSPENSION:
        raise FieldInvalid(violations={"until_date": "is not between tomorrow and a year from now"})
    before = delinquency.suspension
    suspension = Suspension(before.began_on if before else today, until, reason)
    return _changed(delinquency, suspension=suspension, next_on=until)


def resume(delinquency: Delinquency, dunning: Dunning | None, today: date) -> Delinquency:
    """The delinquency, going on: its steps and the end of its grace are later by the days of the suspension."""
    if delinquency.suspension is None:
        raise DelinquencyStateInvalid(state=delinquency.state)
    days = (today - delinquency.suspension.began_on).days
    going_on = _changed(delinquency, suspension=None, held_days=delinquency.held_days + days, next_on=None)
    return _planned(going_on, dunning) if dunning and going_on.state is State.IN_GRACE else going_on


def is_ended(delinquency: Delinquency, cover_ends_on: date | None, today: date) -> bool:
    """Whether the policy ended otherwise, before grace did."""
    if cover_ends_on is None or cover_ends_on > today:
        return False
    return delinquency.grace_ends_on is None or cover_ends_on <= delinquency.grace_ends_on


def _planned(delinquency: Delinquency, dunning: Dunning) -> Delinquency:
    """The delinquency with the days that follow from its due date."""
    grace_ends_on = delinquency.due_on + timedelta(days=dunning.grace_days + delinquency.held_days)
    step = next_step(delinquency, dunning)
    next_on = day_of_step(delinquency, step) if step else None
    return replace(delinquency, grace_ends_on=grace_ends_on, next_on=next_on)


def _changed(delinquency: Delinquency, **changes: object) -> Delinquency:
    changed: Delinquency = replace(delinquency, version=delinquency.version + 1, **changes)  # type: ignore[arg-type]
    return changed
