"""The kinds of jobs of people, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from libs.jobs import JobKind, Nothing


@dataclass(frozen=True, slots=True)
class TellPartner:
    """The arguments of `TELL_PARTNER`. `version` is the one of the customer that the change made."""

    customer_id: UUID
    version: int
    partner_id: UUID | None
    since: date


@dataclass(frozen=True, slots=True)
class FollowPlan:
    """The arguments of `FOLLOW_PLAN`."""

    customer_id: UUID


FOLLOW_PLAN = JobKind("users.follow_plan", FollowPlan, "processing")
MAKE_PARTIES = JobKind("users.make_parties", Nothing)
TELL_PARTNER = JobKind("users.tell_partner", TellPartner, "processing", endless=True)
