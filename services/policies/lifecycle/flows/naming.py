"""Naming the beneficiaries of a policy, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from services.policies.lifecycle.rules import beneficiary
from services.policies.lifecycle.rules.beneficiary import Beneficiaries, Beneficiary
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import beneficiaries


def set_beneficiaries(
    session: Session,
    contract: Policy,
    current: Beneficiaries,
    members: Sequence[Beneficiary],
    actor: str,
    now: datetime,
) -> Beneficiaries:
    """Save who is paid from now on, of a policy that is locked or new. Raises what `set_anew` raises.

    The audit log keeps shares, and no names.
    """
    named = beneficiary.set_anew(contract, current, members, actor, now)
    beneficiaries.add(session, contract.id, named)
    audit.record(
        session,
        "beneficiaries_set",
        ids.encode("pol", contract.id),
        before={"shares": [member.share for member in current.members]},
        after={"shares": [member.share for member in named.members]},
    )
    return named
