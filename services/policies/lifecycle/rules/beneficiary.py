"""Beneficiaries: who is paid when an insured event happens. They are set all at once, and what held before is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.errors import FieldInvalid, Invalid
from services.policies.lifecycle.rules.insured import STANDING
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid

WHOLE = 10_000
"""All shares together, in hundredths of a percent."""


class SharesNotWhole(Invalid):
    """The shares of the beneficiaries do not make 100 %."""

    reason = "SHARES_NOT_WHOLE"


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """Somebody who is paid, with a share in hundredths of a percent."""

    name: str
    relationship: str
    share: int


@dataclass(frozen=True, slots=True)
class Beneficiaries:
    """All beneficiaries of a policy, as they were set at one time."""

    members: tuple[Beneficiary, ...] = ()
    version: int = 0
    """How often they were set; 0 where they never were."""
    set_at: datetime | None = None
    actor: str = ""

    @property
    def etag(self) -> str:
        """Changes whenever they are set."""
        return str(self.version)


def check_members(members: Sequence[Beneficiary]) -> None:
    """`FieldInvalid` for one without a name, `SharesNotWhole` where the shares of some do not make 100 %.

    Nobody at all needs no shares.
    """
    for index, member in enumerate(members):
        if not member.name.strip():
            raise FieldInvalid(violations={f"beneficiaries[{index}].name": "is empty"})
    shares = sum(member.share for member in members)
    if members and shares != WHOLE:
        raise SharesNotWhole(sum=str(shares))


def set_anew(
    policy: Policy, current: Beneficiaries, members: Sequence[Beneficiary], actor: str, now: datetime
) -> Beneficiaries:
    """What holds from now on. `SharesNotWhole`, or `PolicyStateInvalid` once the contract has ended."""
    check_members(members)
    state = policy.state(now)
    if state not in STANDING:
        raise PolicyStateInvalid(state=state)
    return Beneficiaries(tuple(members), current.version + 1, now, actor)
