"""The rule by which cover ends because a premium was not paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from libs.calendar import start_of
from services.policies.lifecycle.rules import contract
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.delinquency import Delinquency
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Ending, TransactionType

NON_PAYMENT: Final = "non_payment"
_LAPSING: Final = frozenset({State.SCHEDULED, State.IN_FORCE})


@dataclass(frozen=True, slots=True)
class Lapse:
    """What payments asks for."""

    delinquency_id: UUID
    version: int
    """Of the delinquency that began it."""
    effective_on: date
    """The first day without cover: the due date and the days of grace."""


def is_needed(made: Contract, asked: Lapse, known: Delinquency | None) -> bool:
    """Whether there still is something to lapse: nothing newer is known of the delinquency, and the policy covers on
    the day on which it is to end, or will later.

    It goes by that day and not by the moment of the call, so that a call that is late comes to the same.
    """
    if known is not None and known.version > asked.version:
        return False
    policy = made.policy
    return policy.state(start_of(asked.effective_on, policy.time_zone)) in _LAPSING


def lapse(made: Contract, asked: Lapse, source: str, now: datetime, *, transaction_id: UUID) -> Changed:
    """What a lapse that is needed makes of the contract. The days of grace were covered, and are owed pro rata."""
    return contract.put(
        made,
        contract.draft(
            made,
            TransactionType.LAPSE,
            asked.effective_on,
            now,
            Ending(EndKind.LAPSED, Return(Method.PRO_RATA)),
            transaction_id=transaction_id,
            reason=NON_PAYMENT,
            source_id=source,
        ),
    )
