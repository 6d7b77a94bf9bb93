"""Who decides what somebody asked for, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.errors import AuthorityExceeded, FourEyes
from services.policies.lifecycle.rules import approval
from services.policies.lifecycle.rules.approval import (
    ADMIN,
    OPEN_FOR,
    UNDERWRITER,
    Action,
    Approval,
    ApprovalState,
    ApprovalStateInvalid,
    Wanted,
)

NOW = datetime(2027, 3, 3, 9, tzinfo=UTC)


def asked(needed: str = UNDERWRITER) -> Approval:
    return approval.ask(UUID(int=1), UUID(int=2), Wanted(Action.REINSTATE_POLICY), "usr_asks", needed, NOW)


def decide(
    waiting: Approval, subject: str = "usr_decides", roles: frozenset[str] = frozenset({UNDERWRITER}), *,
    now: datetime = NOW, is_approved: bool = True,
) -> Approval:  # fmt: skip
    return approval.decide(waiting, subject, roles, now, is_approved=is_approved, reason="checked")


@pytest.mark.parametrize("is_approved", [True, False])
def test_decision_is_kept_and_is_the_only_one(is_approved: bool) -> None:
    decided = decide(asked(), is_approved=is_approved)
    expected = ApprovalState.APPROVED if is_approved else ApprovalState.DECLINED
    assert (decided.state(NOW), decided.decided_by, decided.decision_reason) == (expected, "usr_decides", "checked")
    with pytest.raises(ApprovalStateInvalid) as refused:
        decide(decided, "usr_another")
    assert refused.value.metadata == {"state": expected}


def test_whoever_asked_does_not_decide() -> None:
    with pytest.raises(FourEyes) as refused:
        decide(asked(ADMIN), "usr_asks", frozenset({ADMIN}))
    assert refused.value.metadata == {"by": "usr_asks"}


def test_only_who_holds_the_role_decides_and_admins_decide_everything() -> None:
    admins, underwriters = frozenset({ADMIN}), frozenset({UNDERWRITER})
    for needed, roles in ((UNDERWRITER, underwriters), (UNDERWRITER, admins), (ADMIN, admins)):
        assert decide(asked(needed), roles=roles).decided_by
        assert needed in approval.decided_by(roles)
    with pytest.raises(AuthorityExceeded) as refused:
        decide(asked(ADMIN), roles=underwriters)
    assert refused.value.metadata == {"needed": "admin", "held": "underwriter"}
    assert approval.decided_by(underwriters) == underwriters


def test_nothing_is_decided_when_its_time_is_over() -> None:
    last = NOW + OPEN_FOR
    assert decide(asked(), now=last - timedelta(microseconds=1)).decided_at
    with pytest.raises(ApprovalStateInvalid) as refused:
        decide(asked(), now=last)
    assert refused.value.metadata == {"state": "expired"}
