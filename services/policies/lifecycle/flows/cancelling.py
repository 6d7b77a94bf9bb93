"""Deciding on a cancellation, and on taking one back, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from libs import ids
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import cancellation
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.settlement import CreditTiming, Settlement
from services.policies.lifecycle.store import losses

CANCELLED, RESCINDED = "policy_cancelled", "policy_cancellation_rescinded"
NOTICE = "cancellation_notice"


def cancel(session: Session, made: Contract, wish: Wish, now: datetime) -> Decision:
    """End cover of a contract, with what comes back paid out on the day on which cover ends. Raises what
    `cancellation.cancel` raises.
    """
    marks = losses.list_of_policy(session, made.policy.id)
    changed = cancellation.cancel(made, wish, marks, now, transaction_id=ids.new())
    settlement = Settlement(credit=CreditTiming.REFUND, refund_not_before=changed.transaction.effective_on)
    return Decision(changed, CANCELLED, settlement, (NOTICE,), details={"reason": wish.reason})


def rescind(made: Contract, roles: frozenset[str], note: str, now: datetime) -> Decision:
    """Take back a cancellation that is still to take effect. Raises what `cancellation.rescind` raises."""
    changed = cancellation.rescind(made, roles, note, now, transaction_id=ids.new())
    return Decision(changed, RESCINDED, details={"reason": changed.transaction.reason})
