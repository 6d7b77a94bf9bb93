"""Putting a policy back, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from libs import ids
from libs.money import Money
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import reinstatement
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from services.policies.lifecycle.rules.settlement import Settlement
from services.policies.lifecycle.store import losses


def decide(
    session: Session, made: Contract, asked: Reinstatement, arrears: Money, now: datetime, **details: object
) -> Decision:
    """The decision to put a policy back. `arrears` is what payments said is past due; it is told what was seen.

    Raises what `reinstate` raises. The audit log keeps that there is a statement, and `details`.
    """
    marks = losses.list_of_policy(session, made.policy.id)
    changed = reinstatement.reinstate(made, asked, arrears, marks, now, transaction_id=ids.new())
    return Decision(
        changed,
        "policy_reinstated",
        Settlement(arrears_seen=arrears),
        details={"with_gap": asked.with_gap, "has_statement": bool(asked.statement), **details},
    )
