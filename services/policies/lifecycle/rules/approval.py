"""Approvals: what somebody asked for and somebody else has to decide."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.errors import AuthorityExceeded, FourEyes, Refused

OPEN_FOR: Final = timedelta(days=7)
"""How long something can be decided."""
UNDERWRITER, ADMIN = "underwriter", "admin"


class ApprovalStateInvalid(Refused):
    """It was decided before, or nobody decided it in time."""

    reason = "APPROVAL_STATE_INVALID"


class Action(StrEnum):
    """What is asked for."""

    REINSTATE_POLICY = "reinstate_policy"
    REVERSE_TRANSACTION = "reverse_transaction"


class ApprovalState(StrEnum):
    """Where an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"  # derived: nobody decided in time


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done once it is approved."""

    action: Action
    transaction_id: UUID | None = None
    """The transaction that is to be taken back."""
    reason: str = ""
    """Why it is to be, or what is stated of losses."""
    with_gap: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that waits for a decision, or has one."""

    id: UUID
    policy_id: UUID
    wanted: Wanted
    asked_by: str
    """Who asked, as the audit log names them."""
    asked_at: datetime
    needed: str
    """The role that decides; admins decide everything."""
    until: datetime
    decided_as: ApprovalState | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""

    def state(self, now: datetime) -> ApprovalState:
        """Where it stands at a moment."""
        return self.decided_as or (ApprovalState.PENDING if now < self.until else ApprovalState.EXPIRED)


def ask(approval_id: UUID, policy_id: UUID, wanted: Wanted, asked_by: str, needed: str, now: datetime) -> Approval:
    """Something that waits from now on."""
    return Approval(approval_id, policy_id, wanted, asked_by, now, needed, now + OPEN_FOR)


def decide(
    approval: Approval, subject: str, roles: AbstractSet[str], now: datetime, *, is_approved: bool, reason: str
) -> Approval:
    """The approval with a decision.

    Raises `ApprovalStateInvalid` when it is decided or expired, `FourEyes` for who asked for it, `AuthorityExceeded`
    for who does not hold the role.
    """
    state = approval.state(now)
    if state is not ApprovalState.PENDING:
        raise ApprovalStateInvalid(state=state)
    if approval.asked_by == subject:
        raise FourEyes(by=approval.asked_by)
    if not may_decide(approval.needed, roles):
        raise AuthorityExceeded(needed=approval.needed, held=", ".join(sorted(roles)))
    outcome = ApprovalState.APPROVED if is_approved else ApprovalState.DECLINED
    return replace(approval, decided_as=outcome, decided_by=subject, decided_at=now, decision_reason=reason)


def may_decide(needed: str, roles: AbstractSet[str]) -> bool:
    """Whether somebody with these roles decides what needs a role."""
    return needed in roles or ADMIN in roles


def decided_by(roles: AbstractSet[str]) -> frozenset[str]:
    """The roles that are needed by what somebody with these roles decides."""
    return frozenset({UNDERWRITER, ADMIN} if ADMIN in roles else roles & {UNDERWRITER})
