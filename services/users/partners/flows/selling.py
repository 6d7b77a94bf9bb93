"""For whom a member of a partner acts, and what they may sell: what their access tokens say."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from services.users.accounts.flows.rights import Membership
from services.users.partners.store import partners


def membership_of(session: Session, user_id: UUID) -> Membership | None:
    """The partner that a user is a member of, with what it sells now."""
    partner = partners.find_of_member(session, user_id)
    return Membership(partner.id, partner.sells) if partner else None
