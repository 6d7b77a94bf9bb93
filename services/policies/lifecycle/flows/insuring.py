"""Seeing to it that nothing is insured twice, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.identity.scopes import Scope
from services.policies.lifecycle.rules.insured import STANDING, DuplicateRisk, Insured
from services.policies.lifecycle.store import objects, policies


def check_once(
    session: Session,
    product_code: str,
    insured: Sequence[Insured],
    scope: Scope,
    now: datetime,
    policy_id: UUID | None = None,
) -> None:
    """`DuplicateRisk` where another policy of the product than `policy_id` insures one of these objects on some of the
    same days; which policy it is is told where `scope` covers it. What is insured is locked.
    """
    for item in insured:
        for other_id in objects.find_insured_by_others(session, product_code, item):
            other = policies.find(session, other_id) if other_id != policy_id else None
            if other is not None and other.state(now) in STANDING:
                is_shown = scope.covers(other.user_id, other.partner_id)
                shown = {"policy_id": ids.encode("pol", other_id)} if is_shown else {}
                raise DuplicateRisk(object=item.object_id, **shown)
