"""Approvals as the contract carries them."""

from __future__ import annotations

from datetime import datetime

from bazaruto.policies.v1 import approval_pb2 as pb
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.rules.approval import Action, Approval, ApprovalState

_ACTIONS = {action: pb.PolicyApproval.Action.Value(f"ACTION_{action.name}") for action in Action}
_STATES = {state: pb.PolicyApproval.State.Value(f"STATE_{state.name}") for state in ApprovalState}


def approval_to_proto(approval: Approval, now: datetime) -> pb.PolicyApproval:
    """An approval as it stands at a moment."""
    wanted = approval.wanted
    return pb.PolicyApproval(
        approval_id=ids.encode("apr", approval.id),
        action=_ACTIONS[wanted.action],
        policy_id=ids.encode("pol", approval.policy_id),
        transaction_id=ids.encode("ptx", wanted.transaction_id) if wanted.transaction_id else "",
        asked_by=approval.asked_by,
        ask_time=values.time_to_proto(approval.asked_at),
        ask_reason=wanted.reason,
        needed_role=approval.needed,
        expire_time=values.time_to_proto(approval.until),
        state=_STATES[approval.state(now)],
        decided_by=approval.decided_by,
        decide_time=values.time_to_proto(approval.decided_at) if approval.decided_at else None,
        decide_reason=approval.decision_reason,
        with_gap=wanted.with_gap,
    )
